import ComputeOpenCL

/// What no comparison of one launch with the reference sees.
protocol DeviceCheck: CaseIterable {
  /// Without a colon, which ends it in a verdict.
  var name: String { get }
  /// `pass NAME`, or `miss NAME: why`.
  func verdict(on device: OpenCLDevice) -> String
}

/// `pass NAME`, or `miss NAME: why`, of a check that says what is wrong.
func verdictLine(_ name: String, problem: () throws -> String?) -> String {
  do {
    return try problem().map { "miss \(name): \($0)" } ?? "pass \(name)"
  } catch {
    return "miss \(name): \("\(error)".split(separator: "\n").joined(separator: " | "))"
  }
}
