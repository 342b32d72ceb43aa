import Foundation
import TestSupport

/// The built command, run as a user runs it.
struct SemgTrain {
  struct Outcome {
    let status: Int32
    let output: String
    let error: String
  }

  /// Where it runs: a directory of its own.
  let directory: TemporaryDirectory
  /// Beside the tests' own executable.
  static let binary = URL(filePath: CommandLine.arguments[0]).resolvingSymlinksInPath()
    .deletingLastPathComponent().appending(path: "semg-train")

  /// Runs to the end; `shell` is put before the command, e.g. `ulimit -f 8; exec`.
  @discardableResult
  func callAsFunction(
    _ arguments: String..., environment: [String: String] = [:], shell: String? = nil
  ) throws -> Outcome {
    try run(arguments, environment: environment, shell: shell)
  }

  func run(
    _ arguments: [String], environment: [String: String] = [:], shell: String? = nil
  ) throws -> Outcome {
    let running = try start(arguments, environment: environment, shell: shell)
    return try running.outcome()
  }

  /// Starts the command; its streams go to files, so that no pipe can fill.
  func start(
    _ arguments: [String], environment: [String: String] = [:], shell: String? = nil
  ) throws -> Running {
    let process = Process()
    if let shell {
      process.executableURL = URL(filePath: "/bin/bash")
      process.arguments = ["-c", shell + " \"$@\"", "bash", Self.binary.path] + arguments
    } else {
      process.executableURL = Self.binary
      process.arguments = arguments
    }
    process.currentDirectoryURL = URL(filePath: directory.path)
    process.environment = ["PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"].merging(environment) { $1 }
    let name = UUID().uuidString
    let files = ["out", "err"].map { URL(filePath: "\(directory.path)/.\(name).\($0)") }
    for file in files { try Data().write(to: file) }
    process.standardInput = FileHandle.nullDevice
    process.standardOutput = try FileHandle(forWritingTo: files[0])
    process.standardError = try FileHandle(forWritingTo: files[1])
    try process.run()
    return Running(process: process, output: files[0], error: files[1])
  }

  /// A command that may still be running.
  struct Running {
    let process: Process
    let output: URL
    let error: URL

    var errorSoFar: String { (try? String(contentsOf: error, encoding: .utf8)) ?? "" }

    func outcome() throws -> Outcome {
      process.waitUntilExit()
      // A signal shows as a shell shows it.
      let isSignal = process.terminationReason == .uncaughtSignal
      return Outcome(
        status: process.terminationStatus + (isSignal ? 128 : 0),
        output: try String(contentsOf: output, encoding: .utf8),
        error: try String(contentsOf: error, encoding: .utf8))
    }
  }
}

extension SemgTrain {
  init() throws { directory = try TemporaryDirectory() }
}
