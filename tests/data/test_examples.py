import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from prompt_tuning.data.examples import Ragged, Report, examples_from_text, examples_from_tokens
from prompt_tuning.data.vocabulary import EOS_ID


@given(st.lists(st.lists(st.integers(0, 9), max_size=5), max_size=6))
def test_ragged_gives_back_its_rows(rows):
    ragged = Ragged.from_rows(rows)
    assert [row.tolist() for row in (ragged[i] for i in range(len(ragged)))] == rows
    assert ragged.lengths.tolist() == [len(row) for row in rows]
    assert ragged.values.dtype == np.int32


def test_truncation_keeps_eos_and_is_counted(letters):
    fields = [{"inputs": "abcd", "targets": "x"}, {"inputs": "abcde", "targets": "xyz"}]
    examples = examples_from_text(["a", "b"], fields, letters, inputs_length=5, targets_length=3)
    assert letters.decode(examples.inputs[0]) == letters.decode(examples.inputs[1]) == "abcd"
    assert [len(examples.inputs[i]) for i in range(2)] == [5, 5]
    assert examples.targets[1].tolist() == [*letters.encode("xy"), EOS_ID]
    assert examples.report == Report(inputs_truncated=1, targets_truncated=1)


def test_rows_without_eos_are_cut_without_one_and_a_report_goes_on():
    rows = [[5, 6, 7], [5, 6, EOS_ID]]
    examples = examples_from_tokens("ab", [{}, {}], rows, rows, 2, 3, Report(rows_read=9))
    assert [examples.inputs[i].tolist() for i in range(2)] == [[5, 6], [5, EOS_ID]]
    assert examples.report == Report(rows_read=9, inputs_truncated=2)


def test_a_report_says_what_was_left_out():
    text = str(
        Report(
            rows_read=5,
            rows_skipped=1,
            first_skipped=("a.tsv, row 3: blank row",),
            inputs_truncated=2,
        )
    )
    assert "4 of 5 rows kept" in text and "2 inputs" in text and "a.tsv, row 3: blank row" in text
