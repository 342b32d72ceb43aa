"""A whole training step as one CUDA graph: forward, backward, loss scale and Adam.

What is recorded reads its batch from buffers of its own and is replayed without Python. Where there
is no CUDA, `run_plainly` takes the recorder's place: everything but the recording is the same.
"""

WARM_UP = 4  # steps before the recording: gradients, Adam's state and workspaces come to be


def record(torch, step):
    """(replay, result) of a step on CUDA; the result's memory is written by each replay."""
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(WARM_UP):
            step()
    torch.cuda.current_stream().wait_stream(side)
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        result = step()
    return graph.replay, result


def run_plainly(torch, step):
    """The same interface without a recording."""
    for _ in range(WARM_UP):
        result = step()
    result = result.detach().clone()

    def replay() -> None:
        result.copy_(step().detach())

    return replay, result


class RecordedStep:
    """A step that is called like the one it is made of, with a batch of the same shapes."""

    def __init__(self, torch, step, batch, recorder):
        self.inputs = [values.clone() for values in batch]
        self.replay, self.result = recorder(torch, lambda: step(*self.inputs))

    def __call__(self, *batch):
        for buffer, values in zip(self.inputs, batch, strict=True):
            buffer.copy_(values)
        self.replay()
        return self.result
