"""Tests for `tangle.seq2seq.vocabulary`."""

import os
import pickle
import random
import tempfile
from unittest import mock

import numpy as np
from absl.testing import absltest, parameterized

from tangle import errors
from tangle.seq2seq import vocabulary

Vocabulary = vocabulary.Vocabulary


class ShowTest(parameterized.TestCase):
  @parameterized.named_parameters(
    ("string", "cat", "'cat'"),
    ("characters", ("c", "a", "t"), "'cat'"),
    ("phonemes", ("K", "AE", "T"), "'K AE T'"),
    ("empty", (), "''"),
  )
  def test_symbols_are_joined_as_they_read(self, sequence, text):
    self.assertEqual(vocabulary.show(sequence), text)

  def test_a_long_sequence_is_cut(self):
    self.assertEqual(vocabulary.show("x" * 9, limit=4), "'xxxx...'")


class VocabularyTest(parameterized.TestCase):
  def path(self):
    folder = tempfile.TemporaryDirectory()
    self.addCleanup(folder.cleanup)
    return os.path.join(folder.name, "vocabulary.txt")

  def write(self, text):
    path = self.path()
    with open(path, "wb") as file:
      file.write(text)
    return path

  def test_specials_come_first(self):
    vocab = Vocabulary("ab")
    self.assertEqual(vocab.symbols, ("_PAD", "_GO", "_EOS", "_UNK", "a", "b"))
    self.assertLen(vocab, 6)
    ids = [vocabulary.PAD_ID, vocabulary.GO_ID]
    ids += [vocabulary.EOS_ID, vocabulary.UNK_ID]
    self.assertEqual(ids, [0, 1, 2, 3])

  def test_it_contains_its_symbols_and_not_the_specials(self):
    vocab = Vocabulary("ab")
    self.assertIn("a", vocab)
    self.assertNotIn("c", vocab)
    self.assertNotIn("_EOS", vocab)

  def test_equal_symbols_make_equal_vocabularies(self):
    self.assertEqual(Vocabulary("ab"), Vocabulary(["a", "b"]))
    self.assertLen({Vocabulary("ab"), Vocabulary("ab")}, 1)
    self.assertNotEqual(Vocabulary("ab"), Vocabulary("ba"))
    self.assertNotEqual(Vocabulary("ab"), ("a", "b"))

  def test_it_cannot_be_changed(self):
    vocab = Vocabulary("ab")
    with self.assertRaises(AttributeError):
      vocab.symbols = ("x",)
    with self.assertRaises(AttributeError):
      vocab.another = 1

  def test_it_can_be_pickled(self):
    vocab = Vocabulary("ab")
    self.assertEqual(pickle.loads(pickle.dumps(vocab)).encode("ba"), [5, 4])

  @parameterized.named_parameters(
    ("twice", ["a", "b", "a"], r"symbols\[2\] is given before: 'a'"),
    ("a_special", ["a", "_EOS"], r"symbols\[1\] has the name of a special"),
    ("empty", [""], r"symbols\[0\] is empty"),
    ("a_line_break", ["a", "b\n"], r"symbols\[1\] has a line break"),
    ("a_carriage_return", ["\r"], r"symbols\[0\] has a line break"),
    ("half_a_character", ["\ud800"], r"symbols\[0\] is not valid Unicode"),
    ("a_number", ["a", 7], r"symbols\[1\] is not a string but 7"),
  )
  def test_refuses(self, symbols, message):
    with self.assertRaisesRegex(errors.ArgumentError, message):
      Vocabulary(symbols)

  @parameterized.parameters(0, 1, 2)
  def test_encoding_and_decoding_round_trips(self, seed):
    rng = random.Random(seed)
    vocab = Vocabulary("abcdefg")
    for length in (0, 1, 2, 30):
      sequence = [rng.choice("abcdefg") for _ in range(length)]
      ids = vocab.encode(sequence)
      self.assertTrue(all(4 <= number < len(vocab) for number in ids))
      self.assertEqual(vocab.decode(ids), sequence)
      self.assertEqual(vocab.decode(np.array(ids, np.int32)), sequence)

  def test_unknown_symbols_raise_with_symbol_sequence_and_remedy(self):
    with self.assertRaisesRegex(
      errors.DataError, r"unknown symbol 'x' in the sequence 'box'.*unk"
    ):
      Vocabulary("bo").encode("box")

  def test_a_symbol_in_the_wrong_case_is_told_so(self):
    with self.assertRaisesRegex(errors.DataError, "has 'b': change the case"):
      Vocabulary("bo").encode("Bo")

  def test_unknown_symbols_become_unk_when_asked(self):
    self.assertEqual(Vocabulary("bo").encode("box", unknown="unk"), [4, 5, 3])

  def test_the_name_of_a_special_is_an_unknown_symbol(self):
    ids = Vocabulary("a").encode(["a", "_EOS", "a"], unknown="unk")
    self.assertEqual(ids, [4, 3, 4])

  def test_encode_refuses_another_way_with_unknown_symbols(self):
    with self.assertRaisesRegex(errors.ArgumentError, "got 'drop'"):
      Vocabulary("a").encode("a", unknown="drop")

  def test_decoding_stops_at_eos_and_drops_specials(self):
    vocab = Vocabulary("ab")
    self.assertEqual(vocab.decode([1, 4, 3, 0, 5, 2, 4, 4]), ["a", "b"])
    self.assertEqual(vocab.decode([2, 99]), [])

  @parameterized.named_parameters(
    ("too_large", [4, 6], r"ids\[1\] must be in 0\.\.5, got 6"),
    ("negative", [-1], r"ids\[0\] must be in 0\.\.5, got -1"),
    ("a_float", [4.0], r"ids\[0\] must be an integer"),
    ("a_matrix", np.zeros([2, 2], int), r"ids\[0\] must be an integer"),
  )
  def test_decode_refuses(self, ids, message):
    with self.assertRaisesRegex(errors.ArgumentError, message):
      Vocabulary("ab").decode(ids)

  def test_build_orders_by_frequency_and_then_by_symbol(self):
    vocab = Vocabulary.build(["cab", "db", "dab"])
    self.assertEqual(vocab.symbols[4:], ("b", "a", "d", "c"))

  @parameterized.parameters(0, 1, 2)
  def test_build_does_not_depend_on_the_order_of_the_data(self, seed):
    rng = random.Random(seed)
    words = ["".join(rng.choices("abcdefgh", k=5)) for _ in range(40)]
    vocab = Vocabulary.build(words)
    rng.shuffle(words)
    self.assertEqual(Vocabulary.build(iter(words)), vocab)

  def test_build_counts_specials_in_the_size(self):
    vocab = Vocabulary.build(["aab", "c"], max_size=6)
    self.assertEqual(vocab.symbols[4:], ("a", "b"))
    self.assertLen(Vocabulary.build(["aab"], max_size=4), 4)

  def test_build_drops_rare_symbols(self):
    vocab = Vocabulary.build(["aab", "bc"], min_count=2)
    self.assertEqual(vocab.symbols[4:], ("a", "b"))

  def test_build_refuses_a_size_below_the_specials(self):
    with self.assertRaisesRegex(errors.ArgumentError, "at least 4.*got 3"):
      Vocabulary.build(["a"], max_size=3)

  def test_build_refuses_a_count_below_one(self):
    with self.assertRaisesRegex(errors.ArgumentError, "min_count.*got 0"):
      Vocabulary.build(["a"], min_count=0)

  def test_build_refuses_data_that_holds_a_special(self):
    with self.assertRaisesRegex(errors.DataError, "'_UNK'"):
      Vocabulary.build([["a", "_UNK"]])

  @parameterized.named_parameters(
    ("letters", "abc"),
    ("none", ""),
    ("other_scripts", ["ä", "語", "\u2028", "\x85", "𝄞"]),
    ("spaces", [" ", "\t", "a b", " a"]),
    ("byte_order_mark", ["\ufeff"]),
  )
  def test_a_saved_vocabulary_loads(self, symbols):
    path, vocab = self.path(), Vocabulary(symbols)
    vocab.save(path)
    self.assertEqual(Vocabulary.load(path), vocab)
    self.assertEqual(os.listdir(os.path.dirname(path)), ["vocabulary.txt"])

  def test_a_save_that_is_cut_short_leaves_the_old_file(self):
    path = self.path()
    Vocabulary("ab").save(path)
    with mock.patch.object(os, "replace", side_effect=KeyboardInterrupt):
      with self.assertRaises(KeyboardInterrupt):
        Vocabulary("abc").save(path)
    self.assertEqual(Vocabulary.load(path), Vocabulary("ab"))

  def test_the_line_of_a_symbol_is_its_id(self):
    path = self.path()
    Vocabulary(["é", "b"]).save(path)
    with open(path, "rb") as file:
      text = file.read()
    self.assertEqual(text, "_PAD\n_GO\n_EOS\n_UNK\né\nb\n".encode())

  def test_a_file_without_a_last_line_end_loads(self):
    path = self.write(b"_PAD\n_GO\n_EOS\n_UNK\na\nb")
    self.assertEqual(Vocabulary.load(path), Vocabulary("ab"))

  @parameterized.named_parameters(
    ("no_specials", b"a\nb\n", "line 1 .*'_PAD', got 'a'"),
    ("empty", b"", "line 1 .*'_PAD', got None"),
    ("cut", b"_PAD\n_GO\n", "line 3 .*'_EOS', got None"),
    ("windows", b"_PAD\r\n_GO\r\n", "line 1 .*Unix line ends"),
    ("marked", b"\xef\xbb\xbf_PAD\n", "line 1 .*byte order mark"),
    ("twice", b"_PAD\n_GO\n_EOS\n_UNK\na\na\n", "line 6 .*given before: 'a'"),
    ("gap", b"_PAD\n_GO\n_EOS\n_UNK\na\n\nb\n", "line 6 .*is empty"),
    ("latin", b"_PAD\n_GO\n_EOS\n_UNK\n\xe9\n", "not UTF-8"),
  )
  def test_load_refuses(self, text, message):
    path = self.write(text)
    with self.assertRaisesRegex(errors.DataError, message) as raised:
      Vocabulary.load(path)
    self.assertIn(path, str(raised.exception))


if __name__ == "__main__":
  absltest.main()
