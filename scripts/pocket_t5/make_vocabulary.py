"""Trains the pocket T5's SentencePiece vocabulary on its pre-training text.

    python scripts/pocket_t5/make_vocabulary.py [--folder build/pocket_t5] [--output FILE]

Unigram, case-folded, digits apart, T5's special ids (pad 0, eos 1, unk 2). The file has
4,064 pieces: with 32 sentinels above them the model has 4,096 rows. Run
`make_corpus.py` first. The adaptation tasks are made of the same text.
"""

import argparse
import string
from pathlib import Path

import sentencepiece

PIECES = 4096 - 32


def train(corpus: Path, output: Path) -> None:
    output.parent.mkdir(parents=True, exist_ok=True)
    with open(output, "wb") as model:
        sentencepiece.SentencePieceTrainer.train(
            input=str(corpus),
            model_writer=model,
            model_type="unigram",
            vocab_size=PIECES,
            pad_id=0,
            eos_id=1,
            unk_id=2,
            bos_id=-1,
            normalization_rule_name="nmt_nfkc_cf",
            split_digits=True,
            character_coverage=1.0 - 1e-6,
            required_chars="".join(sorted(set(string.printable.lower()) - set(string.whitespace))),
            max_sentence_length=16384,
            num_threads=2,
            minloglevel=1,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, default=Path("build/pocket_t5"))
    parser.add_argument(
        "--output", type=Path, default=Path("prompt_tuning/assets/pocket_t5/vocabulary.model")
    )
    arguments = parser.parse_args()
    train(arguments.folder / "corpus/train.txt", arguments.output)
    vocabulary = sentencepiece.SentencePieceProcessor(model_file=str(arguments.output))
    print(f"{vocabulary.vocab_size()} pieces in {arguments.output}")
    for name in ("train", "heldout"):
        documents = Path(arguments.folder, f"corpus/{name}.txt").read_text().splitlines()
        tokens = sum(map(len, vocabulary.encode(documents)))
        print(f"{name}: {len(documents)} documents, {tokens} tokens")


if __name__ == "__main__":
    main()
