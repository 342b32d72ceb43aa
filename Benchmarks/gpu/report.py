"""report.md of report.json: tables as Benchmarks/RESULTS.md has them. A figure that is not there
was not measured, and the table says so."""

import statistics

OURS = {"ours": "semg-train FP32", "ours-fp16": "semg-train FP16"}
MODES = {
    "graph-compile": "PyTorch AMP + `torch.compile` max-autotune, the step in one CUDA graph",
    "graph": "PyTorch AMP, the step in one CUDA graph",
    "compile": "PyTorch AMP + `torch.compile` max-autotune", "compile-last": "same, channels-last",
    "amp": "PyTorch AMP, eager", "amp-last": "PyTorch AMP, eager, channels-last",
    "tf32": "PyTorch FP32 with TF32, eager", "fp32": "PyTorch FP32, eager, no TF32",
}
EPOCH = 157_500  # samples of the full set's epoch
EPOCHS = 60


def speeds(side: dict) -> list[float]:
    return [run["samples_per_second"] for run in side.get("runs", [])]


def first_line(text: str, limit: int = 160) -> str:
    line = (text.strip().splitlines() or [""])[0].replace("|", "/")
    return line if len(line) <= limit else line[: limit - 1] + "…"


def cells(side: dict | None) -> list[str]:
    """Median, spread, milliseconds per step, runs; or why there is none."""
    if not side or not speeds(side):
        return ["–", first_line((side or {}).get("problem", "not measured")), "–", "0"]
    values = speeds(side)
    milliseconds = [
        run.get("milliseconds_per_step") or statistics.median(run["milliseconds"])
        for run in side["runs"]
    ]
    return [f"{statistics.median(values):,.0f}", f"{min(values):,.0f}–{max(values):,.0f}",
            f"{statistics.median(milliseconds):.3f}", str(len(values))]


def speed_table(speed: dict, work: str, batch: int) -> list[str]:
    """A table a batch size: ours, then PyTorch's modes, with the faster of ours over each."""
    lines: list[str] = []
    for key, sides in speed.items():
        if key.split(" ")[:2] != [work, str(batch)]:
            continue
        model = key.split(" ")[2]
        medians = {side: statistics.median(speeds(runs)) for side, runs in sides.items()
                   if speeds(runs)}
        ours = max((medians[side] for side in OURS if side in medians), default=None)
        theirs = {mode: medians[mode] for mode in MODES if mode in medians}
        best = max(theirs, key=lambda mode: theirs[mode], default=None)
        for mode, title in {**OURS, **MODES}.items():
            if mode not in sides:
                continue
            ratio = "–"
            if ours and mode in theirs:
                ratio = f"{ours / theirs[mode]:.2f}"
                ratio = f"**{ratio}**" if mode == best else ratio
            lines.append(" | ".join([f"| {model}", title, *cells(sides[mode]), f"{ratio} |"]))
    if not lines:
        return []
    columns = ["model", "side", "samples/s, median", "lowest–highest run", "ms per step", "runs",
               "ours over it"]
    return [f"| {' | '.join(columns)} |", "|---|---|---|---|---|---|---|", *lines, ""]


def kernel_table(run: dict, model: str, batch: int) -> list[str]:
    kernels = run.get("kernels") or []
    if not kernels:
        return []
    total = sum(kernel["milliseconds"] for kernel in kernels)
    launches = sum(kernel["launches"] for kernel in kernels)
    lines = [f"{model}, batch {batch}: {launches} launches per step as counted, {total:.3f} ms per "
             "step on the profiling queue.", "", "| launch | launches | ms | share |",
             "|---|---|---|---|"]
    for kernel in kernels[:20]:
        share = 100 * kernel["milliseconds"] / max(total, 1e-12)
        lines.append(f"| {first_line(kernel['name'])} | {kernel['launches']} | "
                     f"{kernel['milliseconds']:.3f} | {share:.1f} % |")
    return [*lines, ""]


def projection(speed: dict, batch: int) -> list[str]:
    """What the measured speeds come to over a whole training; marked as computed."""
    lines = []
    for key, sides in speed.items():
        work, size, model = key.split(" ")
        if (work, size) != ("train", str(batch)):
            continue
        for mode, side in sides.items():
            if speeds(side):
                minutes = EPOCHS * EPOCH / statistics.median(speeds(side)) / 60
                title = {**OURS, **MODES}.get(mode, mode)
                lines.append(f"| {model} | {title} | {minutes:.2f} |")
    if not lines:
        return []
    return [f"Computed, not run: {EPOCHS} epochs of {EPOCH:,} samples at the speeds above (batch "
            f"{batch}).", "", "| model | side | minutes |", "|---|---|---|", *lines, ""]


def parity_lines(document: dict, title: str) -> list[str]:
    cases = document.get("cases", [])
    lines = [f"{title}: {len(cases) - document.get('missed', 0)} of {len(cases)} cases pass."]
    for case in cases:
        if not case.get("pass"):
            why = first_line("; ".join(case.get("misses") or ["no reason given"]))
            lines.append(f"- missed: {case['name']}, {case['shape']}: {why}")
    return [*lines[:40], ""]


def validation_accuracies(train: dict) -> str:
    part = train.get("validation", {})
    scores = {**part.get("models", {}), "ensemble": part.get("ensemble")}
    return ", ".join(f"{name} {100 * score['accuracy']:.2f} %"
                     for name, score in scores.items() if score) or "unknown"


def training_lines(result: dict) -> list[str]:
    lines: list[str] = []
    for name in ("train_long", "train", "train_half"):
        if train := result.get(name):
            skipped = train.get("skipped_steps")
            precision = {"fp32": "single", "fp16": "half"}[train["precision"]]
            lines += [f"Training on the real recordings in {precision} precision, "
                      f"{train['epochs']} epochs: {train.get('seconds')} s in all, best epochs "
                      f"{train.get('best_epoch')}, accuracy on validation "
                      f"{validation_accuracies(train)}"
                      + (f", steps left out {skipped}" if skipped else "") + ".", ""]
    if tune := result.get("tune"):
        times = ", ".join(f"{each['precision']} {each['milliseconds']:.3f} ms"
                          for each in tune.get("precisions", []))
        lines += [f"Tuned: {len(tune.get('products') or [])} products; a training step of both "
                  f"models together: {times}; `--precision auto` takes {tune.get('auto')}.", ""]
    evaluated = result.get("evaluate", {})
    rows = []
    for device, document in evaluated.items():
        for name, metrics in {**document.get("models", {}),
                              "ensemble": document.get("ensemble")}.items():
            if metrics:
                rows.append(f"| {device} | {name} | {100 * metrics['accuracy']:.2f} | "
                            f"{100 * metrics['macro_f1']:.2f} |")
    if rows:
        lines += ["The trained artifacts on the validation part, by device:", "",
                  "| device | model | accuracy % | macro-F1 % |", "|---|---|---|---|", *rows, ""]
    return lines


def second_way_lines(result: dict) -> list[str]:
    """Kernels that were compiled beforehand: how many are right, which are not, what they take."""
    lines: list[str] = []
    for name, title in (("second_way", "Kernels compiled beforehand"),
                        ("opencl_binary", "PTX as a binary for OpenCL")):
        found = result.get(name)
        if found is None:
            continue
        launches, about = found.get("launches", []), found.get("about", {})
        where = ", ".join(f"{key} {value}" for key, value in about.items()) or "no device"
        lines.append(
            f"{title}, through {found.get('through')} ({where}), batch {found.get('batch')}: "
            f"{sum(launch['pass'] for launch in launches)} of {len(launches)} launches give "
            "NumPy's values"
            + (f"; {found['dropped']} were not run" if found.get("dropped") else "") + ".")
        for launch in launches:
            if not launch["pass"]:
                wrong = [f"{output['name']} {output['error']:.3g} times its bound at "
                         f"{output['where']}" for output in launch.get("outputs", [])
                         if not output["pass"]]
                why = first_line(launch.get("error") or "; ".join(wrong), 400)
                lines.append(f"- missed: {launch['launch']}: {why}")
        lines.append("")
        timed = [launch for launch in launches if "milliseconds" in launch]
        if timed and name == "second_way":
            lines += ["| launch | loaded from | registers | ms | TFLOP/s |", "|---|---|---|---|---|"]
            lines += [f"| {launch['launch']} | {launch['loaded'].rpartition('.')[2]} | "
                      f"{launch.get('registers', '–')} | {launch['milliseconds']:.4f} | "
                      f"{launch['tflops']:.1f} |" for launch in timed]
            lines.append("")
    return lines


def cache_lines(result: dict) -> list[str]:
    lines: list[str] = []
    found = result.get("caches", {})
    if carried := found.get("carried"):
        lines += ["Caches that were carried: "
                  + ", ".join(f"{kind} {what}" for kind, what in carried.items()) + ".", ""]
    if "packed" in found:
        listed = [f"{kind} {each['files']} files, {each['bytes']:,} bytes in "
                  f"{len(each['pieces'])} pieces" for kind, each in found["packed"].items()]
        lines += ["Caches to be carried: " + ("; ".join(listed) or "none") + ".", ""]
    for name, title in (("torch_compile", "PyTorch's seconds to be ready, cold"),
                        ("warm_start", "Seconds of our command for one step, with the caches")):
        if times := result.get(name):
            lines += [f"{title}: "
                      + ", ".join(f"{what} {seconds}" for what, seconds in times.items()) + ".", ""]
    return lines


def machine_lines(result: dict) -> list[str]:
    machine = result.get("machine", {})
    gpu = machine.get("gpu", {})
    torch = result.get("torch", {})
    name = gpu.get("Product Name") or torch.get("name") or "no NVIDIA GPU seen"
    lines = [
        f"{machine.get('date')}, {name}, driver {gpu.get('Driver Version', 'unknown')}, "
        f"{machine.get('cores')} cores; {machine.get('semg_train') or 'semg-train did not start'}, "
        f"commit {machine.get('manifest', {}).get('commit') or 'unknown'}; "
        f"PyTorch {torch.get('torch', 'not run')}, CUDA {torch.get('cuda')}, cuDNN "
        f"{torch.get('cudnn')}.", "", f"Command: `{machine.get('command')}`", ""]
    if machine.get("rehearsal"):
        lines[:0] = ["**A rehearsal: a few tiny steps. No figure below measures anything.**", ""]
    if not machine.get("opencl_library"):
        lines += ["**The driver brings no OpenCL library (libnvidia-opencl.so was found nowhere): "
                  "semg-train ran on no GPU here, PyTorch alone did.** Searched:", "",
                  *[f"- {place}" for place in machine.get("searched", [])], ""]
    for when, clocks in result.get("clocks", {}).items():
        lines += [f"Clocks {when} (SM, memory, power, temperature, load): {clocks}", ""]
    return lines


def markdown(result: dict) -> str:
    speed = result.get("speed", {})
    batches = sorted({int(key.split(" ")[1]) for key in speed})
    lines = ["# GPU", "", *machine_lines(result), "| stage | seconds | what became of it |",
             "|---|---|---|"]
    for name, stage in result.get("stages", {}).items():
        lines.append(f"| {name} | {stage.get('seconds', '–')} | {first_line(stage['state'])} |")
    lines.append("")
    for batch in batches:
        for work, title in (("train", "Training"), ("predict", "Prediction")):
            if table := speed_table(speed, work, batch):
                lines += [f"## {title}, batch {batch}", "", *table]
        lines += projection(speed, batch)
    lines += training_lines(result)
    for name, title in (
            ("parity_quick", "Parity, quick"), ("parity_half", "Parity, quick, half precision"),
            ("parity", "Parity, all"), ("parity_full_half", "Parity, all, half precision")
    ):
        if name in result:
            lines += parity_lines(result[name], title)
    lines += second_way_lines(result) + cache_lines(result)
    for key, run in result.get("profiles", {}).items():
        lines += kernel_table(run, key, run.get("batch"))
    if "devices_text" in result:
        lines += ["```", result["devices_text"].rstrip(), "```", ""]
    return "\n".join(lines)
