"""The learned part: the prompt module, its initialisers, files and neighbours."""
