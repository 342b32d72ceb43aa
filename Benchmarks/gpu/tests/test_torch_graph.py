"""A whole step in one CUDA graph, with a PyTorch that only keeps account of what it is asked."""

import contextlib
import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

import torch_graph  # noqa: E402


class Values:
    """A tensor of one value."""

    def __init__(self, value: float):
        self.value = value

    def clone(self) -> "Values":
        return Values(self.value)

    detach = clone

    def copy_(self, other: "Values") -> None:
        self.value = other.value


class FakeCuda:
    """Streams and graphs; a graph does again what ran while it was recorded."""

    def __init__(self, said: list[str]):
        self.said, self.recorded = said, None
        cuda = self

        class Stream:
            def wait_stream(self, other) -> None:
                said.append("wait")

        class CUDAGraph:
            def replay(self) -> None:
                said.append("replay")
                cuda.recorded()

        self.Stream, self.CUDAGraph = Stream, CUDAGraph

    def current_stream(self):
        return self.Stream()

    def synchronize(self) -> None:
        self.said.append("synchronize")

    @contextlib.contextmanager
    def stream(self, stream):
        self.said.append("side {")
        yield
        self.said.append("}")

    @contextlib.contextmanager
    def graph(self, graph):
        self.said.append("record {")
        yield
        self.said.append("}")


class FakeTorch:
    def __init__(self):
        self.said: list[str] = []
        self.cuda = FakeCuda(self.said)


class RecordedSteps(unittest.TestCase):
    def setUp(self):
        self.torch, self.total = FakeTorch(), Values(0)

    def step(self, x: Values, y: Values) -> Values:
        self.torch.said.append("step")
        self.torch.cuda.recorded = lambda: self.step(x, y)
        self.total.value = x.value * y.value
        return self.total

    def test_it_warms_up_on_a_side_stream_and_records_one_step(self):
        torch_graph.RecordedStep(
            self.torch, self.step, (Values(2), Values(3)), torch_graph.record)
        self.assertEqual(
            self.torch.said, ["wait", "side {", *["step"] * torch_graph.WARM_UP, "}", "wait",
                              "synchronize", "record {", "step", "}"])

    def test_a_replay_computes_the_batch_that_it_is_called_with(self):
        for recorder in (torch_graph.record, torch_graph.run_plainly):
            recorded = torch_graph.RecordedStep(
                self.torch, self.step, (Values(2), Values(3)), recorder)
            self.assertEqual(recorded(Values(5), Values(7)).value, 35)
            self.assertEqual(recorded(Values(4), Values(4)).value, 16)

    def test_a_batch_of_the_wrong_length_is_refused(self):
        recorded = torch_graph.RecordedStep(
            self.torch, self.step, (Values(2), Values(3)), torch_graph.run_plainly)
        with self.assertRaises(ValueError):
            recorded(Values(5))


if __name__ == "__main__":
    unittest.main()
