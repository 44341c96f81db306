"""The command lines: flags, gin files read and checked, dry runs. Only entry points import this."""
