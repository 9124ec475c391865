"""Tests of the scripts: a tiny run of each, in a process of its own."""

import importlib
import json
import os
import pathlib
import runpy
import signal
import subprocess
import sys
import tempfile

from absl import flags
from absl.testing import absltest

from tangle.experiments import command_line, outlines
from tests import forks
from tests.experiments import babel
from tests.meta_graphs import writer

RUN = ("metrics.jsonl", "run.json", ".lock")
ROOT = pathlib.Path(__file__).resolve().parent.parent.parent


def run(script, *flags):
  """Runs a script in a process of its own; returns its `forks.Done`."""
  return forks.run_script(ROOT / "scripts" / script, *flags)


class ScriptsTest(absltest.TestCase):
  def setUp(self):
    super().setUp()
    folder = tempfile.TemporaryDirectory()
    self.addCleanup(folder.cleanup)
    self.out_dir = folder.name

  def figures(self, done):
    self.assertEqual(done.returncode, 0, done.stderr[-2000:])
    return json.loads(done.stdout.strip().split("\n")[-1])

  def test_train_g2p(self):
    figures = self.figures(
      run(
        "train_g2p.py",
        "--limit=600",
        "--epochs=1",
        "--units=8",
        "--buckets=2",
        "--evaluations=1",
        "--sample_lines=at",
        f"--out_dir={self.out_dir}",
      )
    )
    self.assertEqual(figures["graphs"], 4)
    self.assertEqual(figures["steps"], 4)
    with open(os.path.join(self.out_dir, "metrics.jsonl")) as file:
      last = json.loads(file.readlines()[-1])
    self.assertEqual(last["test_wer"], figures["test_wer"])
    # Words that are no number of the dictionary's: four steps teach nothing.
    self.assertBetween(figures["test_wer"], 0.5, 1.0)
    self.assertGreater(figures["words_per_s"], 0)
    self.assertIn("at", figures["samples"])
    self.assertContainsSubset(
      {"metrics.jsonl", "checkpoints", "run.json", "training.png"},
      os.listdir(self.out_dir),
    )

  def test_train_seq2seq_and_decode_seq2seq(self):
    folder = pathlib.Path(self.out_dir)
    lines = ["a b c", "b c", "c a b", "a", "b a", "c c a"]
    paths = [str(folder / name) for name in ("lines.s", "lines.t")]
    for path in paths:
      pathlib.Path(path).write_text("\n".join(lines * 4) + "\n")
    both = ",".join(paths)
    run_dir = str(folder / "run")
    figures = self.figures(
      run(
        "train_seq2seq.py",
        f"--train={both}",
        f"--validation={both}",
        f"--test={both}",
        "--units=16",
        "--buckets=1",
        "--batch_size=8",
        "--learning_rate=0.03",
        "--epochs=60",
        "--evaluations=2",
        "--sample_lines=a b c",
        f"--out_dir={run_dir}",
      )
    )
    self.assertEqual(figures["steps"], 180)
    self.assertLess(figures["curve"][-1]["validation_perplexity"], 1.2)
    self.assertEqual(figures["samples"], {"a b c": "a b c"})
    figures = self.figures(
      run(
        "decode_seq2seq.py",
        f"--run_dir={run_dir}",
        f"--in={paths[0]}",
        f"--references={paths[1]}",
        "--beam_size=3",
        "--n_best=2",
        f"--out={folder / 'out.txt'}",
      )
    )
    self.assertEqual((figures["lines"], figures["left_out"]), (24, 0))
    first = (folder / "out.txt").read_text().split("\n")[0]
    self.assertRegex(first, r"^0 \|\|\| a b c \|\|\| -")

  def test_train_seq2seq_self_test(self):
    presets = ROOT / "scripts" / "presets"
    figures = self.figures(
      run(
        "train_seq2seq.py",
        f"--flagfile={presets / 'self_test.flags'}",
        f"--out_dir={self.out_dir}",
      )
    )
    self.assertEqual((figures["steps"], figures["graphs"]), (5, 2))

  def test_every_preset_is_read(self):
    for preset in sorted((ROOT / "scripts" / "presets").glob("*.flags")):
      done = run("train_seq2seq.py", f"--flagfile={preset}", "--epochs=x")
      self.assertIn("--epochs=x", done.stderr, preset.name)

  def test_train_seq2seq_names_a_file_that_is_not_there(self):
    done = run("train_seq2seq.py", "--train=nowhere.s,nowhere.t")
    self.assertEqual(done.returncode, 2)
    self.assertIn("nowhere.s", done.stderr)
    self.assertNotIn("Traceback", done.stderr)

  def test_train_seq2seq_names_a_bad_placement(self):
    flags = ["--data=cmudict", "--limit=200", "--placement=encoder=0"]
    done = run("train_seq2seq.py", *flags, "--cluster=grpc://127.0.0.1:1")
    self.assertEqual(done.returncode, 1)
    self.assertIn("no task answers at 'grpc://127.0.0.1:1'", done.stderr)
    self.assertNotIn("Traceback", done.stderr)

  def test_train_g2p_names_a_word_that_it_cannot_convert(self):
    done = run("train_g2p.py", "--limit=600", "--sample_lines=na\u00efve")
    self.assertEqual(done.returncode, 1)
    self.assertIn("na\u00efve", done.stderr)
    self.assertNotIn("Traceback", done.stderr)

  def test_benchmark_overlap(self):
    flags = ["--batch_size=2", "--units=4", "--steps=3", "--rounds=2"]
    flags.append(f"--out_dir={self.out_dir}")
    figures = self.figures(run("benchmark.py", "overlap", *flags))
    found = {"metrics.jsonl", "overlap_to_joint.png"}
    self.assertEqual(set(os.listdir(self.out_dir)), found)
    self.assertEqual(list(figures), ["joint", "in_turn", "at_once"])
    self.assertTrue(figures["at_once"]["same_losses"])

  def test_benchmark_cluster(self):
    flags = ["--rows=8", "--units=4", "--layers=1", "--rounds=1"]
    flags += ["--micro_batches=2", f"--out_dir={self.out_dir}"]
    figures = self.figures(run("benchmark.py", "cluster", *flags))
    self.assertCountEqual(figures, ["joint", "1f1b_2", "gpipe_2", "load"])
    self.assertTrue(figures["gpipe_2"]["same_losses"])
    plots = ["cluster_to_joint.png", "gantt_1f1b_2.png", "gantt_gpipe_2.png"]
    found = sorted(os.listdir(self.out_dir))
    self.assertEqual(found, [*plots, "metrics.jsonl"])
    done = run("benchmark.py", "cluster", "--micro_batches=1")
    self.assertEqual(done.returncode, 1)
    self.assertIn("from 2 to 4096, the rows of a batch, got 1", done.stderr)

  def test_benchmark_ablations(self):
    figures = self.figures(
      run(
        "benchmark.py",
        "ablations",
        "--tasks=mlp",
        "--size=tiny",
        "--ablations=default,session_run",
        "--rounds=2",
        "--budget_s=1",
        f"--out_dir={self.out_dir}",
      )
    )
    self.assertTrue(figures["mlp"]["session_run"]["same_losses"])
    self.assertEqual(figures["mlp"]["default"]["to_default"], 1.0)
    self.assertContainsSubset(
      {"metrics.jsonl", "mlp_to_default.png"}, os.listdir(self.out_dir)
    )

  def test_benchmark_frameworks(self):
    figures = self.figures(
      run(
        "benchmark.py",
        "frameworks",
        "--tasks=mlp",
        "--size=tiny",
        "--candidates=tangle_split,tangle_joint,tangle_tf1_split,"
        "roofline_numpy",
        "--rounds=2",
        f"--out_dir={self.out_dir}",
      )
    )["mlp"]
    for name in ("tangle_split", "tangle_joint"):
      self.assertTrue(figures[name]["same_losses"])
      self.assertGreater(figures[name]["rss_bytes"], 1e7)
    self.assertEqual(figures["tangle_joint"]["to_own_joint"], 1.0)
    self.assertIn("--python1", figures["tangle_tf1_split"]["reason"])
    self.assertContainsSubset(
      {"metrics.jsonl", "frameworks.md", "mlp_to_roofline.png"},
      os.listdir(self.out_dir),
    )

  def test_benchmark_frameworks_does_whole_jobs(self):
    found = self.figures(
      run(
        "benchmark.py",
        "frameworks",
        "--tasks=g2p_demo,multi30k",
        "--size=tiny",
        "--candidates=tangle_split,contrib_joint",
        "--rounds=2",
        f"--out_dir={self.out_dir}",
      )
    )
    for name in ("g2p_demo", "multi30k"):
      figures = found[name]["tangle_split"]
      for key in ("step_s", "examples_per_s", "greedy_per_s", "beam_per_s"):
        self.assertGreater(figures[key], 0, f"{name}: {key}")
      self.assertIn("--python1", found[name]["contrib_joint"]["reason"])
    self.assertIn("avx512", found["machine"])

  def test_benchmark_backprop(self):
    figures = self.figures(
      run(
        "benchmark.py",
        "backprop",
        "--model=mlp",
        "--strategies=published,device",
        "--batch_size=4",
        "--units=8",
        "--rounds=2",
        f"--out_dir={self.out_dir}",
      )
    )
    self.assertEqual(
      set(figures), {"joint", "double_forward", "published", "device"}
    )
    self.assertEqual(figures["device"]["forward_runs"], 1.0)
    self.assertEqual(figures["double_forward"]["forward_runs"], 2.0)
    # Four layers keep their input, weights and output; an output is the next
    # input: x, 4 outputs of 4 x 8 floats.
    self.assertEqual(figures["device"]["residual_bytes"], 5 * 4 * 8 * 4)
    self.assertLess(figures["device"]["max_difference"], 1e-5)
    found = {"metrics.jsonl", "backprop_mlp.png"}
    self.assertEqual(set(os.listdir(self.out_dir)), found)

  def test_benchmark_weights(self):
    kinds = "--kinds=resource"
    out_dir = f"--out_dir={self.out_dir}"
    done = run("benchmark.py", "weights", "--size=small", kinds, out_dir)
    figures = self.figures(done)["resource"]
    self.assertEqual(figures["to_resource"], 1.0)
    # Four projections and a hidden layer; the norms' gains; biases.
    weights = 4 * 16 * 16 + 2 * 16 * 32 + 2 * 16 + (7 * 16 + 32)
    self.assertEqual(figures["weights_bytes"], 4 * weights)
    self.assertLen(figures["rss_bytes"], 4)
    self.assertEqual(os.listdir(self.out_dir), ["metrics.jsonl"])

  def test_benchmark_soak_loops(self):
    flags = ["--size=small", "--strategies=auto"]
    out_dir = f"--out_dir={self.out_dir}"
    figures = self.figures(run("benchmark.py", "soak_loops", *flags, out_dir))[
      "auto"
    ]
    self.assertEqual(figures["steps"], 40)
    self.assertGreater(figures["loss"], 0)
    self.assertGreater(figures["rss_bytes"][0], 1e7)
    self.assertEqual(os.listdir(self.out_dir), ["metrics.jsonl"])

  def test_benchmark_residuals(self):
    figures = self.figures(
      run(
        "benchmark.py",
        "residuals",
        "--model=lstm",
        "--candidates=min_cut",
        "--batch_size=4",
        "--units=8",
        "--steps=40",
        "--rounds=2",
        "--large_ops=500",
        f"--out_dir={self.out_dir}",
      )
    )
    self.assertEqual(set(figures), {"frontier", "min_cut", "large"})
    # Four gates and the input of each step.
    self.assertEqual(figures["min_cut"]["bytes"], 5 * 40 * 4 * 8 * 4)
    self.assertLess(figures["min_cut"]["max_difference"], 1e-5)
    self.assertGreaterEqual(figures["large"]["ops"], 450)
    self.assertTrue(os.path.exists(f"{self.out_dir}/residuals_lstm.png"))

  def test_benchmark_graphs(self):
    figures = self.figures(
      run(
        "benchmark.py",
        "graphs",
        "--source_buckets=1,2",
        "--target_buckets=1,2",
        "--units=4",
        "--symbols=9",
        "--batch_size=2",
        "--rounds=1",
        f"--out_dir={self.out_dir}",
      )
    )
    names = {"joint", "split", "ratios", "loss_difference"}
    self.assertEqual(set(figures), names)
    self.assertEqual(figures["joint"]["graphs"], 4)
    self.assertEqual(figures["split"]["graphs"], 4)
    self.assertLess(figures["loss_difference"], 1e-5)
    self.assertGreater(figures["joint"]["ops"], figures["split"]["ops"])
    self.assertGreater(figures["split"]["rss_bytes"], 0)
    self.assertEqual(os.listdir(self.out_dir), ["metrics.jsonl"])

  def test_benchmark_growth(self):
    figures = self.figures(
      run(
        "benchmark.py",
        "growth",
        "--length=",
        "--buckets=1,3",
        "--sub_models=",
        "--residuals=",
        "--layers=",
        "--outputs=",
        "--units=3",
        "--batch_size=2",
        "--bucket_steps=4",
        "--steps=1",
        f"--out_dir={self.out_dir}",
      )
    )
    self.assertEqual(set(figures), {"exponents", "steepest", "points"})
    self.assertEqual(set(figures["points"]), {"buckets"})
    for points in figures["points"].values():
      for split, joint in zip(points["split"], points["joint"]):
        self.assertAlmostEqual(split["loss"], joint["loss"], places=5)
    # Three buckets each side are three graphs each side, or nine joint ones.
    exponents = figures["exponents"]["buckets"]
    self.assertBetween(exponents["split"]["ops"][1], 0.6, 1.0)
    self.assertBetween(exponents["joint"]["ops"][1], 1.5, 2.0)
    self.assertBetween(figures["steepest"]["ops"][0], 0.6, 1.0)
    found = {"metrics.jsonl", "growth_buckets.png"}
    self.assertEqual(set(os.listdir(self.out_dir)), found)

  def test_benchmark_startup(self):
    figures = self.figures(
      run(
        "benchmark.py",
        "startup",
        "--buckets=1,2",
        "--units=3",
        "--batch_size=2",
        "--script=",
        f"--out_dir={self.out_dir}",
      )
    )
    self.assertEqual(set(figures), {"points", "exponents"})
    first, second = figures["points"]["here"]
    self.assertEqual([first["size"], second["size"]], [1, 2])
    self.assertGreater(first["all_pairs_s"], first["build_s"])
    self.assertBetween(figures["exponents"]["here"]["ops"][1], 0.6, 1.0)
    self.assertEqual(os.listdir(self.out_dir), ["metrics.jsonl"])

  def test_a_training_that_a_signal_ends_can_go_on(self):
    for number, code in ((signal.SIGTERM, 143), (signal.SIGINT, 130)):
      process = subprocess.Popen(
        [
          *(sys.executable, str(ROOT / "scripts" / "train_g2p.py")),
          *("--limit=600", "--epochs=9000", "--units=4", "--buckets=1"),
          *("--evaluations=1", f"--out_dir={self.out_dir}"),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=dict(os.environ, PYTHONPATH=str(ROOT)),
      )
      line = b"."
      while line and b"step " not in line:  # a report
        line = process.stderr.readline()
      process.send_signal(number)
      out, messages = process.communicate(timeout=120)
      self.assertEqual(process.returncode, code, messages[-2000:])
      figures = json.loads(out.decode().strip().split("\n")[-1])
      self.assertEqual(figures["signal"], signal.Signals(number).name)
      self.assertEqual(figures["reason"], "interrupted")
      folder = os.path.join(self.out_dir, "checkpoints")
      self.assertIn(f"step-{figures['steps']:08d}", os.listdir(folder))
    self.assertGreater(figures["resumed_from"], 0)

  def test_a_folder_that_cannot_be_made_is_named(self):
    path = os.path.join(self.out_dir, "file")
    with open(path, "w"):
      pass
    done = run("cluster.py", "--tasks=1", f"--log_dir={path}/logs")
    self.assertEqual(done.returncode, 1)
    self.assertRegex(done.stderr, "LocalCluster: '.*logs' cannot be made: Not")
    done = run("train_g2p.py", "--limit=600", f"--out_dir={path}/run")
    self.assertEqual(done.returncode, 2)
    said = f"--out_dir={path}/run: {path} is not a folder; name another place"
    self.assertIn(said, done.stderr)
    self.assertNotIn("Traceback", done.stderr)

  def test_a_flag_of_another_experiment_is_refused(self):
    done = run("combine_gradients.py", "--candidates=turns")
    self.assertEqual(done.returncode, 2)
    said = "--candidates: has no effect with --experiment=toy, only with"
    self.assertIn(f"{said} --experiment=cost", done.stderr)
    done = run(
      "combine_gradients.py", "--experiment=cost", "--candidates=mgdaa"
    )
    self.assertEqual(done.returncode, 2)
    self.assertRegex(done.stderr, "is none of .*Perhaps 'mgda' is meant")
    done = run("train_calculator.py", "--experiment=held_out", "--max_steps=3")
    self.assertEqual(done.returncode, 2)
    self.assertIn("has no effect with --experiment=held_out", done.stderr)

  def test_train_seq2seq_from_two_sources(self):
    for name, line in (("a", "a b\nb\n"), ("b", "x\ny z\n"), ("c", "K\nL\n")):
      path = os.path.join(self.out_dir, f"text.{name}")
      with open(path, "w", encoding="utf-8") as file:
        file.write(12 * line)
    figures = self.figures(
      run(
        "train_seq2seq.py",
        f"--flagfile={ROOT / 'scripts/presets/two_sources.flags'}",
        "--sources=a+b",
        "--targets=c",
        *(
          f"--{split}={self.out_dir}/text.{{}}"
          for split in ("train", "validation", "test")
        ),
        "--buckets=2",
        "--units=4",
        "--embedding_dim=4",
        "--batch_size=8",
        "--epochs=1",
        "--evaluations=1",
        f"--out_dir={self.out_dir}",
      )
    )
    self.assertEqual((figures["graphs"], figures["joint_graphs"]), (5, 4))
    self.assertEqual(figures["steps"], 3)
    self.assertGreater(figures["best_score"], 0)
    self.assertGreaterEqual(figures["test_bleu"], 0)
    found = self.figures(
      run(
        "decode_seq2seq.py",
        f"--run_dir={self.out_dir}",
        f"--in={self.out_dir}/text.a,{self.out_dir}/text.b",
      )
    )
    self.assertEqual(found["lines"], 24)
    decoded = [
      pathlib.Path(self.out_dir, name).read_text(encoding="utf-8")
      for name in ("test.txt", "decoded.txt")
    ]
    self.assertEqual(*decoded)

  def test_benchmark_mux(self):
    figures = self.figures(
      run(
        "benchmark.py",
        "mux",
        "--branches=2,3",
        "--units=4",
        "--width=2",
        "--batch_size=12",
        "--candidates=route,switch",
        "--rounds=2",
        "--nomemory",
        f"--out_dir={self.out_dir}",
      )
    )
    self.assertEqual(set(figures["4"]), {"2", "3"})
    rows = figures["4"]["3"]
    self.assertEqual(set(rows), {"where", "route", "switch"})
    self.assertEqual(rows["switch"]["untaken_runs"], 0)
    # 2 x 4 + 4 x 4 + 4 x 2 weights, six operations each.
    self.assertAlmostEqual(rows["route"]["gflop"], 6e-9 * 32 * 12)
    self.assertAlmostEqual(rows["where"]["gflop"], 6e-9 * 32 * 36)
    self.assertGreater(rows["route"]["to_where"], 0)
    self.assertEqual(
      set(os.listdir(self.out_dir)), {"metrics.jsonl", "mux.png"}
    )

  def test_train_calculator(self):
    figures = self.figures(
      run(
        "train_calculator.py",
        "--training=six_graphs",
        f"--export_dir={self.out_dir}/paths",
        f"--out_dir={self.out_dir}",
      )
    )
    self.assertEqual(figures["accuracy"]["binary/plus1/decimal"], 1.0)
    self.assertEqual(set(figures["accuracy"].values()), {1.0})
    self.assertLen(figures["accuracy"], 8)
    exported = figures["exported"]["decimal/times2/binary"]
    self.assertIn("saved_model.pb", os.listdir(exported))

  def test_train_calculator_with_gaps(self):
    figures = self.figures(
      run(
        "train_calculator.py",
        "--experiment=held_out",
        "--seeds=1",
        "--max_held_out=1",
        "--steps=20",
        f"--out_dir={self.out_dir}",
      )
    )
    self.assertEqual(list(figures["paths"]["separate"]), ["1"])
    self.assertIn("held_out.png", os.listdir(self.out_dir))

  def test_transfer_digits(self):
    figures = self.figures(
      run(
        "transfer_digits.py",
        "--per_class=2",
        "--seeds=1",
        "--calculator_steps=200",
        "--steps=60",
        f"--out_dir={self.out_dir}",
      )
    )
    self.assertEqual(figures["frozen_changed"], 0)
    self.assertEqual(figures["calculator"]["before"], 1.0)
    for series in ("all_paths", "one_path"):
      for way in ("frozen", "fine_tuned", "from_scratch"):
        self.assertLen(figures[series][way]["2"], 1)
    means = figures["means"]
    # Of images alone the digit is told, and what no label told is not.
    self.assertBetween(means["all_paths"]["from_scratch"]["2"], 0.4, 0.9)
    self.assertGreater(
      means["one_path"]["frozen"]["2"], means["one_path"]["from_scratch"]["2"]
    )
    self.assertEqual(set(os.listdir(self.out_dir)), {*RUN, "transfer.png"})

  def test_a_training_without_checkpoints_is_repeated_or_refused(self):
    flags = ("--max_steps=2", f"--out_dir={self.out_dir}")
    first = self.figures(run("train_calculator.py", *flags))
    again = self.figures(run("train_calculator.py", *flags))
    self.assertEqual(first["accuracy"], again["accuracy"])
    path = os.path.join(self.out_dir, "metrics.jsonl")
    with open(path) as file:
      before = file.read()
    self.assertLen(before.splitlines(), 1)
    for other in (*flags, "--hidden=8"), (flags[1], "--experiment=held_out"):
      done = run("train_calculator.py", *other)
      self.assertEqual(done.returncode, 1)
      self.assertIn("or give another folder", done.stderr)
    with open(path) as file:
      self.assertEqual(file.read(), before)

  def test_a_table_for_people_is_before_the_json(self):
    done = run(
      "train_calculator.py", "--max_steps=2", f"--out_dir={self.out_dir}"
    )
    lines = done.stdout.strip().splitlines()
    self.assertIn("accuracy", lines[0])
    share = json.loads(lines[-1])["accuracy"]["decimal/plus1/binary"]
    row = next(line for line in lines if line.startswith("decimal/plus1/bin"))
    self.assertEqual(row.split()[-1], f"{share:.1%}")

  def test_train_branches(self):
    figures = self.figures(
      run(
        "train_branches.py",
        "--seeds=1",
        "--epochs=2",
        "--stream_records=2000",
        f"--out_dir={self.out_dir}",
      )
    )
    self.assertEqual(figures["stream"]["seen_once"], 2000)
    ways = ("alternate", "mixed", "partial")
    for way in ways:
      for share in figures["accuracy"][way].values():
        self.assertBetween(share, 0.4, figures["majority"] + 0.05)
    self.assertLessEqual(figures["same_order"]["difference"], 1e-6)
    self.assertEqual(
      figures["same_order"]["inactive_changed"], dict.fromkeys(ways, 0)
    )
    self.assertEqual(figures["steps"]["mixed"], 2 * 38)  # 1200 records by 32
    self.assertEqual(set(os.listdir(self.out_dir)), {*RUN, "branches.png"})

  def test_combine_networks(self):
    figures = self.figures(
      run(
        "combine_networks.py",
        "--per_class=5",
        "--seeds=1",
        "--pretrain_steps=60",
        "--steps=40",
        f"--out_dir={self.out_dir}",
      )
    )
    self.assertEqual(figures["loaded_changed"], 0)
    self.assertEqual(figures["frozen_changed"], 0)
    self.assertGreater(figures["alone"]["whole"], figures["alone"]["left"])
    for pattern in ("parallel", "sequential", "shared"):
      for way in ("frozen", "fine_tuned", "from_scratch"):
        self.assertLen(figures[pattern][way]["5"], 1)
        self.assertBetween(figures["means"][pattern][way]["5"], 0.3, 1.0)
    self.assertEqual(set(os.listdir(self.out_dir)), {*RUN, "combine.png"})

  def test_train_seq2seq_in_many_directions(self):
    folder, names = babel.write(self), ",".join(babel.NAMES)
    figures = self.figures(
      run(
        "train_seq2seq.py",
        f"--flagfile={ROOT / 'scripts/presets/many_to_many.flags'}",
        f"--sources={names}",
        f"--targets={names}",
        *(f"--{split}={folder}/{split}.{{}}" for split in babel.LINES),
        "--held_out=cc-aa",
        "--units=8",
        "--embedding_dim=8",
        "--buckets=1",
        "--epochs=1",
        "--evaluations=1",
        f"--out_dir={self.out_dir}",
      )
    )
    self.assertLen(figures["test_bleu"], 6)
    self.assertEqual(figures["held_out"], ["cc-aa"])
    self.assertEqual((figures["graphs"], figures["joint_graphs"]), (6, 6))
    found = self.figures(
      run(
        "decode_seq2seq.py",
        f"--run_dir={self.out_dir}",
        "--direction=cc-aa",
        f"--in={folder}/test.cc",
        f"--references={folder}/test.aa",
      )
    )
    self.assertEqual(found["bleu"], figures["test_bleu"]["cc-aa"])

  def test_benchmark_control_flow(self):
    out_dir = f"--out_dir={self.out_dir}"
    figures = self.figures(
      run("benchmark.py", "control_flow", "--constructs=cond,Defun", out_dir)
    )
    for kind in ("resource", "reference"):
      (found,) = figures[kind].values()
      self.assertEqual(found["right"] + found["refused"], 2 * 2 * 6)
      self.assertGreaterEqual(found["right"], 10)
      name = f"control_flow_{kind}.md"
      with open(os.path.join(self.out_dir, name)) as file:
        self.assertLen(file.read().splitlines(), 4)

  def test_benchmark_soak_threads(self):
    out_dir = f"--out_dir={self.out_dir}"
    figures = self.figures(
      run("benchmark.py", "soak_threads", "--threads=2", "--pairs=5", out_dir)
    )
    for store in ("device", "host", "session", "recompute"):
      self.assertEqual(figures[store]["pairs"], 10)
      self.assertEqual(figures[store]["wrong"], 0)

  def test_benchmark_soak_memory(self):
    flags = ["--what=calls", "--steps=60", "--warm_up=20", "--disturb"]
    out_dir = f"--out_dir={self.out_dir}"
    figures = self.figures(run("benchmark.py", "soak_memory", *flags, out_dir))
    self.assertEqual((figures["steps"], figures["wrong"]), (60, 0))
    self.assertEqual((figures["raised"], figures["discarded"]), (12, 16))

  def test_every_benchmark_is_run_here_and_has_the_flags_of_its_function(self):
    names = runpy.run_path(str(ROOT / "scripts" / "benchmark.py"))["NAMES"]
    for name, function in names.items():
      self.assertTrue(hasattr(self, f"test_benchmark_{name}"), name)
      module, _, attribute = function.rpartition(".")
      found = [
        outlines.read(function),
        getattr(importlib.import_module(module), attribute),
      ]
      values = [flags.FlagValues() for _ in found]
      for each, outline in zip(values, found):
        command_line.define_in(each, [outline], {})
      for flag in command_line.settings(found[1]):
        ours, theirs = (each[flag] for each in values)
        self.assertEqual(ours.default, theirs.default, f"{name}: {flag}")
        self.assertEqual(ours.help, theirs.help, f"{name}: {flag}")
        self.assertIs(type(ours.parser), type(theirs.parser))
        choices = [each.parser.__dict__ for each in (ours, theirs)]
        self.assertEqual(*map(str, choices))

  def test_split_meta_graph(self):
    prefix = os.path.join(self.out_dir, "model")
    done = forks.run_script(writer.__file__, "layers", prefix)
    self.assertEqual(done.returncode, 0, done.stderr)
    out_dir = f"--out_dir={self.out_dir}"
    figures = self.figures(
      run(
        "split_meta_graph.py",
        prefix + ".meta",
        "--inputs=x",
        "--outputs=hidden",
        "--unknown=5",
        out_dir,
      )
    )
    self.assertEqual(figures["store"], "device")
    sizes = {row["name"]: row["bytes"] for row in figures["residuals"]}
    self.assertEqual(sizes["Relu:0"], 5 * 8 * 8)
    self.assertEqual(figures["repairs"]["lines"], [])
    self.assertNotEmpty(figures["cut_points"])
    self.assertIn("split.json", os.listdir(self.out_dir))

  def test_benchmark_calculator(self):
    sizes = ("--batch_size=4", "--units=4", "--hidden=4", "--rounds=1")
    out_dir = f"--out_dir={self.out_dir}"
    figures = self.figures(run("benchmark.py", "calculator", *sizes, out_dir))
    self.assertGreater(figures["joint"]["ops"], 0)
    self.assertLen(figures, 4)
    for row in figures.values():
      self.assertGreater(row["rss_bytes"], 0)
    self.assertEqual(figures["one_graph"]["to_one_graph"], 1.0)

  def test_combine_gradients_on_the_toy_problem(self):
    figures = self.figures(
      run(
        "combine_gradients.py",
        "--experiment=toy",
        "--methods=sum,mgda",
        "--toy_steps=400",
        "--toy_rate=0.1",
        f"--out_dir={self.out_dir}",
      )
    )
    self.assertEqual(set(figures["reached"]), {"sum", "mgda"})
    # From its last start MGDA goes to the nearest end of the front, and stays.
    self.assertLess(figures["distances"]["mgda"][-1], 0.5)
    self.assertGreater(figures["ends"]["mgda"][-1][0], 6.0)
    self.assertLess(figures["ends"]["sum"][-1][0], 4.0)
    self.assertEqual(set(os.listdir(self.out_dir)), {*RUN, "toy.png"})

  def test_combine_gradients_on_the_calculator(self):
    figures = self.figures(
      run(
        "combine_gradients.py",
        "--experiment=calculator",
        "--calculator_methods=sum,mgda",
        "--seeds=1",
        "--steps=40",
        "--units=16",
        "--hidden=32",
        f"--out_dir={self.out_dir}",
      )
    )
    # The loss that is scaled up has the shared networks to itself in a sum.
    mean = figures["mean"]
    self.assertGreater(mean["sum"]["decimal"], mean["mgda"]["decimal"])
    self.assertEqual(set(os.listdir(self.out_dir)), {*RUN, "calculator.png"})

  def test_combine_gradients_costs(self):
    figures = self.figures(
      run(
        "combine_gradients.py",
        "--experiment=cost",
        "--candidates=pcgrad",
        "--rounds=2",
        "--width=8",
        "--layers=2",
        "--batch_size=2",
        f"--out_dir={self.out_dir}",
      )
    )
    self.assertEqual(figures["weighted"]["to_weighted"], 1.0)
    self.assertGreater(figures["pcgrad"]["ops"], figures["weighted"]["ops"])

  def test_cluster_runs_until_it_is_told_to_end(self):
    command = [sys.executable, str(ROOT / "scripts" / "cluster.py")]
    command += ["--tasks=2", "--threads=1", f"--log_dir={self.out_dir}"]
    environment = dict(os.environ, PYTHONPATH=str(ROOT))
    process = subprocess.Popen(
      command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment
    )
    try:
      line = next(line for line in process.stdout if line.startswith(b"{"))
      figures = json.loads(line.decode())
      for number in figures["process_ids"]:
        os.kill(number, 0)  # raises if it is not there
      code = (
        "import sys, tensorflow.compat.v1 as tf; tf.disable_eager_execution();"
        "device = tf.device('/job:worker/task:1'); device.__enter__();"
        "print(tf.Session(sys.argv[1]).run(tf.constant(6) * 7))"
      )
      done = forks.run_code(code, figures["target"])
      self.assertEqual(done.stdout.split()[-1], "42", done.stderr[-2000:])
    finally:
      process.send_signal(signal.SIGTERM)
      _, messages = process.communicate(timeout=60)
    self.assertEqual(process.returncode, 0, messages)
    self.assertIn(b"tasks have been ended", messages)
    for number in figures["process_ids"]:
      with self.assertRaises(ProcessLookupError):
        os.kill(number, 0)
    logs = sorted(os.listdir(self.out_dir))
    self.assertEqual(logs, ["task_0.log", "task_1.log"])

  def test_cluster_names_bad_ports(self):
    with forks.new_processes():  # one script is started as users do it
      done = run("cluster.py", "--tasks=1", "--ports=http")
    self.assertEqual(done.returncode, 1)
    self.assertIn("different numbers from 1 to 65535", done.stderr)

  def test_every_script_explains_its_flags(self):
    code = (
      "import atexit, runpy, sys;"
      "script = sys.argv[1]; sys.argv[1:] = ['--help'];"
      "atexit.register(lambda: print(*sys.modules)); sys.argv[0] = script;"
      "runpy.run_path(script, run_name='__main__')"
    )
    for script in sorted((ROOT / "scripts").glob("*.py")):
      with forks.new_processes():  # a fork has imported TensorFlow
        done = forks.run_code(code, script)
      folder = {"cluster.py": "--log_dir"}.get(script.name, "--out_dir")
      self.assertIn(folder, done.stdout, script.name)
      modules = done.stdout.strip().split("\n")[-1].split()
      for slow in ("tensorflow", "numpy", "matplotlib"):
        self.assertNotIn(slow, modules, script.name)

  def test_all_wrong_flags_are_reported_at_once(self):
    done = run(
      "train_seq2seq.py", "--unit=3", "--units=0", "--train=/nowhere/a", "b"
    )
    self.assertEqual(done.returncode, 2)
    self.assertEqual(done.stdout, "")
    self.assertEqual(
      done.stderr.splitlines(),
      [
        "train_seq2seq: wrong arguments. --help lists the flags.",
        "  --unit=3: there is no such flag; did you mean --units?",
        "  b: expected flags only",
        "  --train=/nowhere/a: /nowhere/a does not exist",
        "  --units=0: must be at least 1",
      ],
    )
    done = run("combine_gradients.py", "--methods=pcgard", "--seeds=x")
    self.assertEqual(done.returncode, 2)
    self.assertIn(
      "--methods=pcgard: 'pcgard' is none of sum, pcgr", done.stderr
    )
    self.assertIn("--seeds=x: must be a whole number", done.stderr)
    done = run("decode_seq2seq.py", "--n_best=2")
    self.assertEqual(done.returncode, 2)
    self.assertIn("--run_dir=: name the folder", done.stderr)
    self.assertIn("--n_best=2: must be at most --beam_size=1", done.stderr)
    done = run("split_meta_graph.py")
    self.assertIn("expected one .meta file", done.stderr)

  def test_tangle_calls_nothing_deprecated(self):
    code = """
import logging, runpy, sys, warnings
from tangle.compat import tf1

class Handler(logging.Handler):
  def emit(self, record):
    if "/tangle/" in record.getMessage().split("\\n")[0]:
      print("FOUND", record.getMessage())

tf1.get_logger().addHandler(Handler())
for kind in (DeprecationWarning, PendingDeprecationWarning, FutureWarning):
  warnings.filterwarnings("error", category=kind, module=r"tangle\\b")
  warnings.filterwarnings("error", category=kind, module="__main__")
script = sys.argv[1]
sys.argv = sys.argv[1:]
runpy.run_path(script, run_name="__main__")
"""
    branches = ("--seeds=1", "--epochs=1", "--stream_records=200")
    for name, arguments in (
      ("train_branches.py", branches),
      ("train_calculator.py", ("--max_steps=2",)),
      ("train_calculator.py", ("--max_steps=2", "--multiplexer=where")),
    ):
      out_dir = f"--out_dir={self.out_dir}/{len(arguments)}{name}"
      done = forks.run_code(code, ROOT / "scripts" / name, *arguments, out_dir)
      self.assertEqual(done.returncode, 0, done.stderr[-2000:])
      self.assertNotIn("FOUND", done.stdout)

  def test_tensorflow_logs_nothing_that_is_no_error(self):
    environment = dict(os.environ, PYTHONPATH=str(ROOT))
    environment.pop("TF_CPP_MIN_LOG_LEVEL", None)
    script = str(ROOT / "scripts" / "train_calculator.py")
    with forks.new_processes():
      done = subprocess.run(
        [sys.executable, script, "--max_steps=2", f"--out_dir={self.out_dir}"],
        capture_output=True,
        env=dict(environment, **{forks.ADDRESS: ""}),
        encoding="utf-8",
      )
    self.assertEqual(done.returncode, 0, done.stderr)
    (line,) = done.stderr.strip().splitlines()
    self.assertStartsWith(line, "TensorFlow ")


if __name__ == "__main__":
  absltest.main()
