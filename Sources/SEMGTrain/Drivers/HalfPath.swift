import ComputeOpenCL

extension OpenCLDevice {
  /// What half precision runs on here, and why not on what is faster; nil in single precision.
  var halfPathSentence: String? {
    guard let tensorCores else { return nil }
    let native = options.halfPath == .native
    guard case .refused(let reason) = tensorCores else {
      return "fp16 runs on tensor cores where shapes allow, elsewhere in "
        + (native ? "native halves" : "fp32")
    }
    // A build's log is for `devices --verbose`.
    let lines = reason.split(whereSeparator: \.isNewline)
    let more = lines.count > 1 ? " (devices --verbose has all of it)" : ""
    let first = "not on tensor cores: \(lines.first ?? "")\(more)"
    if native { return "fp16 runs in native halves, \(first)" }
    let paths = OpenCLDevice.halfPaths(of: description)
    let second =
      paths.contains(.native)
      ? "nor in native halves: they are taken where tune has found them faster"
      : "nor in native halves: the device has no cl_khr_fp16"
    return "fp16 is stored, and computed in fp32, \(first); \(second)"
  }
}
