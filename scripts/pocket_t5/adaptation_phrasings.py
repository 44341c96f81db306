"""How the adaptation tasks are put to the model: phrasings, each with its label words.

A phrasing is (pattern of the input, labels); labels are None where the answer is a text.
The instruction stands before, after, or is a short tag, and the same yes or no has many
names, so that what stands in front of the text decides what is to be answered.
"""

from adaptation_material import BOOK_GROUPS, GENRES

YES_NO = ("yes", "no")
TRUE_FALSE = ("true", "false")
RIGHT_WRONG = ("right", "wrong")
SAME = ("same", "different")
PLACES = ("first", "second")
LETTERS = ("a", "b")

PHRASINGS: dict[str, list[tuple[str, tuple[str, ...] | None]]] = {
    "headword": [
        ("Which word means: {text}", None),
        ("{text} What is this called?", None),
        ("name: {text}", None),
        ("Give the word for this definition. {text}", None),
        ("definition: {text} word:", None),
    ],
    "definition": [
        ("What does {word} mean?", None),
        ("define: {word}", None),
        ("{word}: meaning?", None),
        ("Explain the word {word}.", None),
    ],
    "kind_of_gloss": [
        ("What kind of thing is this? {text}", None),
        ("{text} This is a kind of", None),
        ("kind: {text}", None),
        ("Give a more general word. {text}", None),
    ],
    "kind_of_word": [
        ("{word} is a kind of", None),
        ("What kind of thing is {word}?", None),
        ("general word: {word}", None),
    ],
    "part_of_speech": [
        ("noun, verb, adjective or adverb? {text}", ("noun", "verb", "adjective", "adverb")),
        ("{text} part of speech:", ("noun", "verb", "adjective", "adverb")),
        (
            "Does this define a thing, an action, a quality or a manner? {text}",
            ("thing", "action", "quality", "manner"),
        ),
        ("word class: {text}", ("thing", "action", "quality", "manner")),
    ],
    "synonyms": [
        ("Do {a} and {b} mean the same?", YES_NO),
        ("{a} | {b} | same meaning or different?", SAME),
        ("synonyms: {a}, {b}", TRUE_FALSE),
        ("The words {a} and {b} are synonyms. Right or wrong?", RIGHT_WRONG),
    ],
    "entailment": [
        ("Is {a} a kind of {b}?", YES_NO),
        ("Every {a} is a {b}. True or false?", TRUE_FALSE),
        ("kind of? {a} | {b}", YES_NO),
        ("{a} is a {b}", RIGHT_WRONG),
    ],
    "word_has_gloss": [
        ("Does {word} mean this? {text}", YES_NO),
        ("{word}: {text} True or false?", TRUE_FALSE),
        ("definition fits? {text} | {word}", ("fits", "wrong")),
        ("Right or wrong: {word} means {text}", RIGHT_WRONG),
    ],
    "choose_gloss": [
        ("Which text defines {word}, the first or the second? {a} | {b}", PLACES),
        ("{word}: a) {a} b) {b}", LETTERS),
        ("1 {a} 2 {b} Which one is {word}?", ("one", "two")),
    ],
    "choose_headword": [
        ("Which of these words is it: {options}? {text}", None),
        ("{text} Choose: {options}", None),
        ("options {options} text {text}", None),
    ],
    "glosses_share_kind": [
        ("Are these two things of the same kind? {a} | {b}", YES_NO),
        ("same or different kind: {a} | {b}", SAME),
        ("{a} | {b} Do they belong together?", TRUE_FALSE),
        ("related? {a} | {b}", ("near", "far")),
    ],
    "fill_blank": [
        ("Fill the blank: {text}", None),
        ("{text} Which word is missing?", None),
        ("missing word: {text}", None),
    ],
    "choose_for_blank": [
        ("Which word fits, {a} or {b}? {text}", None),
        ("{text} {a} or {b}?", None),
        ("choose {a} | {b} | {text}", None),
    ],
    "follows": [
        ("Does the second sentence follow the first? {a} | {b}", YES_NO),
        ("{a} {b} Do these stand together?", TRUE_FALSE),
        ("next: {a} | {b}", ("next", "other")),
        ("Is this how the text goes on? {a} | {b}", RIGHT_WRONG),
    ],
    "natural_order": [
        ("Is this sentence in order? {text}", YES_NO),
        ("{text} natural or mixed?", ("natural", "mixed")),
        ("word order: {text}", RIGHT_WRONG),
    ],
    "restore_order": [
        ("Put these words in order: {text}", None),
        ("{text} In the right order:", None),
        ("order: {text}", None),
    ],
    "contains_word": [
        ("Is the word {word} in this text? {text}", YES_NO),
        ("{text} Does it contain {word}?", TRUE_FALSE),
        ("find {word}: {text}", ("found", "none")),
    ],
    "nth_word": [
        ("What is the {which} word? {text}", None),
        ("{text} Give the {which} word.", None),
        ("{which} word: {text}", None),
    ],
    "noisy_copy": [
        ("Do these texts say the same? {a} | {b}", YES_NO),
        ("{a} | {b} same or different?", SAME),
        ("copy? {a} | {b}", TRUE_FALSE),
        ("Compare. {a} | {b}", ("equal", "other")),
        ("Is the second text a copy of the first? {a} | {b}", RIGHT_WRONG),
    ],
    "find_copy": [
        (
            "Which is the copy of the text, the first or the second? "
            "text {text} first {a} second {b}",
            PLACES,
        ),
        ("{text} | a) {a} | b) {b} | which?", LETTERS),
    ],
    "to_modern": [
        ("In modern English: {text}", None),
        ("{text} Put this into modern English.", None),
        ("modern: {text}", None),
    ],
    "to_old": [
        ("In old English: {text}", None),
        ("{text} Put this into the old words of the king's Bible.", None),
        ("old: {text}", None),
    ],
    "old_or_modern": [
        ("Is this old or modern English? {text}", ("old", "modern")),
        ("{text} Which is it, king or world?", ("king", "world")),
        ("time: {text}", ("past", "present")),
    ],
    "book_group": [
        ("law, history, poetry, prophets, gospel or letters? {text}", BOOK_GROUPS),
        ("{text} Which part of the Bible is this?", BOOK_GROUPS),
        ("part: {text}", BOOK_GROUPS),
    ],
    "genre": [
        ("What kind of text is this? {text}", GENRES),
        ("{text} genre:", GENRES),
        ("genre: {text}", GENRES),
    ],
}
