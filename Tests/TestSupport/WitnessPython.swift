import Foundation
import Testing

/// The Python that has the tests' outside witnesses (Keras, SciPy): `SEMG_PYTHON`, by default that
/// of `make test`'s environment.
public enum WitnessPython {
  public static let path =
    ProcessInfo.processInfo.environment["SEMG_PYTHON"]
    ?? SharedData.packageRoot.appending(path: "build/venv/bin/python").path

  /// Whether tests with it run. Under CI a missing Python fails instead of skipping.
  public static let isExpected =
    FileManager.default.isExecutableFile(atPath: path)
    || ProcessInfo.processInfo.environment["CI"] == "true"

  /// Runs a script to its end.
  ///
  /// - Parameter log: file for what it says on standard error.
  /// - Returns: its standard output.
  /// - Throws: where it does not start or its exit status is not 0.
  public static func run(_ script: String, _ arguments: [String], log: String) throws -> Data {
    let process = Process()
    process.executableURL = URL(filePath: path)
    process.arguments = [script] + arguments
    let output = Pipe()
    process.standardOutput = output
    try Data().write(to: URL(filePath: log))
    process.standardError = FileHandle(forWritingAtPath: log)
    try process.run()
    let said = try output.fileHandleForReading.readToEnd() ?? Data()
    process.waitUntilExit()
    let text = (try? String(contentsOfFile: log, encoding: .utf8)) ?? ""
    try #require(process.terminationStatus == 0, "\(text.suffix(3_000))")
    return said
  }
}
