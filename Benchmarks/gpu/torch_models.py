"""Both networks in PyTorch, with Keras's semantics, and our `.keras` archives' weights in them.

What a layer does is what Keras's does: bias in every convolution, batch norm with momentum 0.99
(PyTorch's 0.01) and epsilon 1e-3, causal padding to the left alone, dropout on the attention's
weights. One thing differs that no figure here depends on: PyTorch puts the unbiased variance into
the moving average, 1/26,111 more at batch 128. `channels_last` computes the same with
two-dimensional convolutions of height 1, which PyTorch can run channels-last.
"""

import io
import pathlib
import zipfile

import h5py
import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

WINDOW, CHANNELS, CLASSES = 204, 8, 5
L2 = 1e-4
SIZES = {"inception-se": (141_221, 140_709), "semg-net": (807_109, 805_189)}
MODELS = tuple(SIZES)


class Noise(nn.Module):
    def __init__(self, deviation: float):
        super().__init__()
        self.deviation = deviation

    def forward(self, x):
        return x + self.deviation * torch.randn_like(x) if self.training else x


class Convolution(nn.Module):
    """Along time: of [B, C, T], or of [B, C, 1, T] where channels lie last in memory."""

    def __init__(self, inputs, outputs, size, dilation=1, causal=False, planar=False):
        super().__init__()
        reach = dilation * (size - 1)
        self.left = reach if causal else 0
        centred = 0 if causal else reach // 2
        self.layer = (
            nn.Conv2d(inputs, outputs, (1, size), dilation=(1, dilation), padding=(0, centred))
            if planar else nn.Conv1d(inputs, outputs, size, dilation=dilation, padding=centred))

    def forward(self, x):
        return self.layer(F.pad(x, (self.left, 0)) if self.left else x)


def normalization(channels: int, planar: bool) -> nn.Module:
    kind = nn.BatchNorm2d if planar else nn.BatchNorm1d
    return kind(channels, eps=1e-3, momentum=0.01)


def time_mean(x):
    """[B, C] of [B, C, T] or [B, C, 1, T]."""
    return x.flatten(2).mean(2)


class Block(nn.Module):
    """Two dilated convolutions side by side, squeezed, excited, added to the input."""

    def __init__(self, inputs, dilation, causal, planar, rate):
        super().__init__()
        self.branches = nn.ModuleList(
            [Convolution(inputs, 32, size, dilation, causal, planar) for size in (3, 7)])
        self.norms = nn.ModuleList([normalization(32, planar) for _ in (3, 7)])
        self.dropout = nn.Dropout(rate)
        self.squeeze, self.excite = nn.Linear(64, 8), nn.Linear(8, 64)
        self.shortcut = Convolution(inputs, 64, 1, planar=planar) if inputs != 64 else None

    def forward(self, x):
        parts = [F.relu(norm(branch(x))) for branch, norm in zip(self.branches, self.norms)]
        y = self.dropout(torch.cat(parts, 1))
        scale = torch.sigmoid(self.excite(F.relu(self.squeeze(time_mean(y)))))
        y = y * scale.reshape(scale.shape + (1,) * (y.dim() - 2))
        return (self.shortcut(x) if self.shortcut else x) + y


class InceptionSE(nn.Module):
    def __init__(self, causal=True, planar=False, regular=True):
        super().__init__()
        self.planar, self.attention_rate = planar, 0.3 if regular else 0.0
        self.noise = Noise(0.05 if regular else 0.0)
        rate = 0.2 if regular else 0.0
        self.blocks = nn.ModuleList(
            [Block(64 if index else CHANNELS, 2**index, causal, planar, rate)
             for index in range(4)])
        self.norm = nn.LayerNorm(64, eps=1e-6)
        self.query, self.key, self.value = (nn.Linear(64, 256) for _ in range(3))
        self.output = nn.Linear(256, 64)
        self.dense = nn.Linear(64, 64)
        self.dropout = nn.Dropout(0.5 if regular else 0.0)
        self.logits = nn.Linear(64, CLASSES)

    def forward(self, x):
        x = self.noise(x)
        for block in self.blocks:
            x = block(x)
        x = self.norm(x.flatten(2).transpose(1, 2))
        query, key, value = (
            part(x).unflatten(2, (4, 64)).transpose(1, 2)
            for part in (self.query, self.key, self.value))
        rate = self.attention_rate if self.training else 0.0
        x = F.scaled_dot_product_attention(query, key, value, dropout_p=rate)
        x = self.output(x.transpose(1, 2).flatten(2)).mean(1)
        return self.logits(self.dropout(F.relu(self.dense(x))))

    def layers(self):
        """(kind, layer, decayed) in the order in which Keras numbers the layers of each kind."""
        for block in self.blocks:
            yield from (("conv1d", branch.layer, True) for branch in block.branches)
            if block.shortcut:
                yield "conv1d", block.shortcut.layer, False
            yield from (("batch_normalization", norm, False) for norm in block.norms)
            yield from (("dense", block.squeeze, True), ("dense", block.excite, True))
        yield "layer_normalization", self.norm, False
        for name in ("query", "key", "value", "output"):
            yield f"multi_head_attention/{name}_dense", getattr(self, name), False
        yield from (("dense", self.dense, True), ("dense", self.logits, False))


class SEMGNet(nn.Module):
    def __init__(self, causal=True, planar=False, regular=True):
        """`causal` means nothing here: sEMG-Net's convolutions are centred."""
        super().__init__()
        self.planar = planar
        self.noise = Noise(0.05 if regular else 0.0)
        widths = [CHANNELS, 64, 128, 256, 512]
        self.convolutions = nn.ModuleList(
            [Convolution(widths[i], widths[i + 1], size, planar=planar)
             for i, size in enumerate((9, 5, 3, 3))])
        self.norms = nn.ModuleList([normalization(width, planar) for width in widths[1:]])
        self.drops = nn.ModuleList([nn.Dropout(0.25 if regular else 0.0) for _ in widths[1:]])
        self.dense = nn.Linear(512, 512)
        self.dropout = nn.Dropout(0.5 if regular else 0.0)
        self.logits = nn.Linear(512, CLASSES)

    def forward(self, x):
        x = self.noise(x)
        for index in range(4):
            x = self.drops[index](F.relu(self.norms[index](self.convolutions[index](x))))
            if index:
                x = F.max_pool2d(x, (1, 2)) if self.planar else F.max_pool1d(x, 2)
        return self.logits(self.dropout(F.relu(self.dense(time_mean(x)))))

    def layers(self):
        """(kind, layer, decayed) in the order in which Keras numbers the layers of each kind."""
        yield from (("conv1d", convolution.layer, True) for convolution in self.convolutions)
        yield from (("batch_normalization", norm, False) for norm in self.norms)
        yield from (("dense", self.dense, True), ("dense", self.logits, False))


def build(name: str, causal=True, channels_last=False, regular=True) -> nn.Module:
    """One of the two networks, its size checked. `regular=False`: no dropout and no noise."""
    kind = {"inception-se": InceptionSE, "semg-net": SEMGNet}[name]
    model = kind(causal=causal, planar=channels_last, regular=regular)
    trainable = sum(value.numel() for value in model.parameters())
    moving = sum(value.numel() for name, value in model.named_buffers() if "running" in name)
    if (trainable + moving, trainable) != SIZES[name]:
        raise ValueError(f"{name}: {trainable + moving} parameters, {trainable} of them trainable; "
                         f"expected {SIZES[name]}")
    return model.to(memory_format=torch.channels_last) if channels_last else model


def arrange(x: torch.Tensor, channels_last: bool) -> torch.Tensor:
    """Windows [B, T, C] as the network takes them."""
    x = x.transpose(1, 2)
    if not channels_last:
        return x.contiguous()
    return x.unsqueeze(2).contiguous(memory_format=torch.channels_last)


def decayed(model: nn.Module) -> list[nn.Parameter]:
    """The kernels that Keras's L2 of 1e-4 is on."""
    return [layer.weight for _, layer, decays in model.layers() if decays]


def loss(logits, targets, sample_weight) -> torch.Tensor:
    """Without L2: cross-entropy of targets smoothed by 0.1, each sample times its weight, over the
    batch's size; in the targets' precision."""
    smooth = targets * 0.9 + 0.1 / CLASSES
    each = -(smooth * F.log_softmax(logits.to(targets.dtype), 1)).sum(1)
    return (each * sample_weight).mean()


def penalty(model: nn.Module) -> torch.Tensor:
    return L2 * sum((kernel**2).sum() for kernel in decayed(model))


def optimizer(model: nn.Module, fused: bool, capturable: bool = False) -> torch.optim.Adam:
    """Adam as Keras's; L2 as a decay that is added to the gradient, which is what its loss does.

    - Parameter capturable: counts its steps on the device, so that a CUDA graph can hold it.
    """
    kernels = decayed(model)
    chosen = {id(kernel) for kernel in kernels}
    rest = [value for value in model.parameters() if id(value) not in chosen]
    groups = [{"params": kernels, "weight_decay": 2 * L2}, {"params": rest, "weight_decay": 0.0}]
    return torch.optim.Adam(groups, lr=1e-3, betas=(0.9, 0.999), eps=1e-7, fused=fused,
                            capturable=capturable)


# --- the weights of a .keras archive ------------------------------------------------------------


def keras_values(
    model: nn.Module, archive: pathlib.Path
) -> list[tuple[str, torch.Tensor, np.ndarray]]:
    """(path in the archive, our tensor, the archive's values in our shape) of every variable."""
    with zipfile.ZipFile(archive) as files:
        weights = h5py.File(io.BytesIO(files.read("model.weights.h5")), "r")
    counts: dict[str, int] = {}
    result = []
    for kind, layer, _ in model.layers():
        group, _, sublayer = kind.partition("/")
        count = counts.get(kind, 0)
        counts[kind] = count + 1
        name = group if count == 0 else f"{group}_{count}"
        path = "/".join(filter(None, ["layers", name, sublayer, "vars"]))
        tensors = [layer.weight, layer.bias]
        if kind == "batch_normalization":
            tensors += [layer.running_mean, layer.running_var]
        if len(weights[path]) != len(tensors):
            raise ValueError(f"{archive}: {len(weights[path])} variables in {path}, "
                             f"expected {len(tensors)}")
        for index, tensor in enumerate(tensors):
            values = np.asarray(weights[f"{path}/{index}"])
            result.append((f"{path}/{index}", tensor, in_our_shape(values, layer, tensor)))
    return result


def in_our_shape(values: np.ndarray, layer: nn.Module, tensor: torch.Tensor) -> np.ndarray:
    """Keras: kernels [time, in, out] and [in, out], the attention's [in, heads, key] and
    [heads, key, out]; PyTorch: [out, in, (1,) time] and [out, in]."""
    if tensor.dim() > 2:
        values = values.transpose(2, 1, 0)
    elif tensor.dim() == 2:
        values = values.reshape(layer.in_features, layer.out_features).T
    if values.size != tensor.numel():
        raise ValueError(f"{values.size} values for a tensor of {tuple(tensor.shape)}")
    return values.reshape(tuple(tensor.shape))


def load(model: nn.Module, archive: pathlib.Path) -> None:
    with torch.no_grad():
        for _, tensor, values in keras_values(model, archive):
            tensor.copy_(torch.from_numpy(np.ascontiguousarray(values)))
