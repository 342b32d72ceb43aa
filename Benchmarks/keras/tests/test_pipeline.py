"""The yardstick itself: what it splits, how large its models are, what its recipes differ in."""

import os
import pathlib
import sys
import unittest

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

import numpy as np  # noqa: E402

import pipeline  # noqa: E402


def recordings() -> list[pipeline.Recording]:
    names = [
        pipeline.Recording(f"Session{s}/session{s}_subject_{p}/gesture0{g}_trial0{t}.csv", s, g)
        for s in (1, 2, 3) for p in range(1, 6) for g in range(5) for t in range(1, 8)
    ]
    return sorted(names, key=lambda recording: recording.path.encode())


class Pipeline(unittest.TestCase):
    def test_the_split_has_each_recording_once_and_halves_session_3_by_gesture(self):
        parts = pipeline.split_recordings(recordings(), 42)
        self.assertEqual({k: len(v) for k, v in parts.items()},
                         {"train": 350, "validation": 90, "test": 85})
        everything = [recording.path for files in parts.values() for recording in files]
        self.assertEqual(sorted(everything), sorted({r.path for r in recordings()}))
        for gesture in range(5):
            self.assertEqual(sum(r.gesture == gesture for r in parts["test"]), 17)

    def test_models_have_the_published_sizes(self):
        for name, total, trainable in (
            ("inception-se", 141_221, 140_709), ("semg-net", 807_109, 805_189)
        ):
            for padding in ("same", "causal"):
                model = pipeline.build_model(name, padding=padding)
                self.assertEqual(model.count_params(), total)
                found = sum(int(np.prod(weight.shape)) for weight in model.trainable_weights)
                self.assertEqual(found, trainable)

    def test_only_causal_padding_hides_the_future_of_dilated_convolutions(self):
        import keras

        generator = np.random.default_rng(1)
        for padding, sees_future in (("same", True), ("causal", False)):
            model = pipeline.build_model("inception-se", padding=padding, window=64)
            dilated = [layer for layer in model.layers
                       if isinstance(layer, keras.layers.Conv1D) and layer.kernel_size[0] > 1]
            self.assertEqual([layer.dilation_rate[0] for layer in dilated], [1, 1, 2, 2, 4, 4, 8, 8])
            for layer in dilated:
                channels = layer.input.shape[-1]
                x = generator.standard_normal((1, 64, channels)).astype(np.float32)
                later = x.copy()
                later[:, 40:] += 1
                before, after = (np.asarray(layer(value))[:, :40] for value in (x, later))
                self.assertEqual(bool(np.abs(before - after).max() > 0), sees_future)

    def test_three_views_and_the_labels_of_both_recipes(self):
        generator = np.random.default_rng(0)
        x = generator.standard_normal((101, pipeline.WINDOW, 8)).astype(np.float32)
        y = pipeline.one_hot(generator.integers(5, size=101), 5)
        for recipe in ("published", "standard"):
            views, targets = pipeline.augment(x, y, recipe, np.random.default_rng(3))
            self.assertEqual(views.shape, (303, pipeline.WINDOW, 8))
            np.testing.assert_array_equal(views[:101], x)
            quiet = np.abs(views[101:202]).mean(axis=1) < 0.05  # noise of 0.02 and nothing else
            self.assertEqual(int(quiet.sum()), 50)
            self.assertEqual(int(quiet.any(axis=1).sum()), 50)
            np.testing.assert_allclose(targets.sum(axis=1), 1, atol=1e-6)
            mixed = bool(((targets[202:] > 0) & (targets[202:] < 1)).any())
            self.assertEqual(mixed, recipe == "standard")

    def test_first_restarts(self):
        self.assertEqual(pipeline.first_restart("published", 157_500, 60), 22_140)
        self.assertEqual(pipeline.first_restart("standard", 157_500, 60), 24_620)
        self.assertEqual(pipeline.first_restart("published", 10, 1), 1)

    def test_windows_of_a_public_recording(self):
        windows = pipeline.cut(np.arange(2560 * 8.0).reshape(2560, 8))
        self.assertEqual(windows.shape, (30, 204, 8))
        self.assertEqual(windows[1, 0, 0], 81 * 8)

    def test_scores_count_empty_classes_as_zero(self):
        probabilities = np.eye(3)[[0, 0, 1, 1]]
        score = pipeline.scores(probabilities, np.array([0, 0, 1, 0]))
        self.assertAlmostEqual(score["accuracy"], 0.75)
        self.assertAlmostEqual(score["macro_f1"], (0.8 + 2 / 3 + 0) / 3)


if __name__ == "__main__":
    unittest.main()
