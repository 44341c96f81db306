import pytest
from hypothesis import given
from hypothesis import strategies as st

from prompt_tuning.data.vocabulary import ByteVocabulary, SentencePieceVocabulary
from tests.data.helpers import POCKET


def test_sentinels_count_down_from_the_top_of_the_vocabulary(pocket):
    assert pocket.vocab_size == pocket.sentinel_id(0) + 1
    assert pocket.sentinel_id(99) == pocket.vocab_size - 100
    assert pocket.piece(pocket.sentinel_id(7)) == "<extra_id_7>"
    with pytest.raises(ValueError, match="sentinel 100 asked for"):
        pocket.sentinel_id(100)


def test_without_extra_ids_the_top_hundred_bytes_are_sentinels_as_in_byt5():
    assert ByteVocabulary().sentinel_id(0) == 258
    assert ByteVocabulary(extra_ids=10).sentinel_id(0) == 268


def test_sentinels_in_text_survive_a_round_trip(pocket):
    ids = pocket.encode("the <extra_id_0> man <extra_id_12> sat")
    assert [pocket.sentinel_id(0), pocket.sentinel_id(12)] == [
        i for i in ids if i >= pocket.vocab_size - 100
    ]
    assert pocket.decode(ids) == "the <extra_id_0> man <extra_id_12> sat"


def test_decoding_stops_at_eos_and_leaves_out_padding(pocket):
    ids = pocket.encode("a man")
    assert pocket.decode([*ids, 1, *pocket.encode("more"), 0, 0]) == "a man"
    assert pocket.decode([0, *ids, 0]) == "a man"


def test_ids_past_the_vocabulary_read_as_unknown(pocket):
    assert pocket.decode([pocket.vocab_size + 5]) == pocket.decode([2])


@given(st.text())
def test_bytes_round_trip_any_text(text):
    vocabulary = ByteVocabulary()
    assert vocabulary.decode(vocabulary.encode(text)) == text


def test_byte_ids_are_shifted_past_the_special_ones(letters):
    assert letters.encode("A") == [ord("A") + 3]
    assert letters.piece(ord("A") + 3) == "<0x41>"


@given(st.text())
def test_any_text_encodes_to_ids_of_the_vocabulary(pocket, text):
    assert all(1 < i < pocket.vocab_size for i in pocket.encode(text))


def test_the_fingerprint_depends_on_the_model_and_the_extra_ids(pocket):
    assert SentencePieceVocabulary(POCKET).fingerprint == pocket.fingerprint
    assert SentencePieceVocabulary(POCKET, extra_ids=0).fingerprint != pocket.fingerprint


def test_a_missing_model_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere.model"):
        SentencePieceVocabulary(tmp_path / "nowhere.model")


def test_a_model_with_other_special_ids_is_refused(tmp_path):
    sentencepiece = pytest.importorskip("sentencepiece")
    corpus = tmp_path / "text"
    corpus.write_text("some few words for a tiny model\n" * 20)
    sentencepiece.SentencePieceTrainer.train(
        input=str(corpus),
        model_prefix=str(tmp_path / "other"),
        vocab_size=30,
        hard_vocab_limit=False,
        minloglevel=2,
    )
    with pytest.raises(ValueError, match=r"ids are \(-1, 2, 0\), T5 needs \(0, 1, 2\)"):
        SentencePieceVocabulary(tmp_path / "other.model")
