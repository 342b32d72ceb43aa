import ArgumentParser
import Artifacts
import Foundation

struct InspectCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "inspect",
    abstract: "Say what recordings, a .keras file or a run directory hold.")

  @Argument(
    help: .init(
      "Recordings, directories of them, .keras files, or directories that training wrote.",
      valueName: "path"),
    completion: .file())
  var paths: [String]
  @OptionGroup(title: "Recordings") var columns: ColumnOptions
  @OptionGroup(title: "Output") var output: OutputOptions

  /// Each path is looked at whatever is wrong with the others; the first fault says how to end.
  func run() throws {
    let console = output.console
    var failures: [any Error] = []
    for (index, path) in paths.enumerated() {
      do {
        let inspection = try inspection(of: path)
        if output.json {
          try console.result(json: inspection)
        } else {
          try console.result((index > 0 ? "\n" : "") + inspection.text)
        }
      } catch let error as CommandFailure where error.status == .inputOutput {
        throw error
      } catch {
        failures.append(error)
      }
    }
    guard let first = failures.first, let last = failures.last else { return }
    if failures.count == 1 { throw first }
    // The last is said where every error of the program is.
    for failure in failures.dropLast() { console.error(sentence(for: failure)) }
    throw CommandFailure(exitStatus(of: first), sentence(for: last))
  }

  private func inspection(of path: String) throws -> any Inspection {
    try InputPath.check(path)
    let isArchive = InputPath.isArchive(path)
    let isData = InputPath.isDirectory(path) && !RunInspection.isRun(path)
    let isRecording = isData || !InputPath.isDirectory(path) && !isArchive
    if !isRecording, columns.channels != nil || columns.sampleRate != nil {
      throw CommandFailure(
        .usage, "--channels and --sample-rate are for recordings, \(path) is none; drop them")
    }
    if InputPath.isDirectory(path) {
      try InputPath.checkKind(path, expected: "a directory of recordings, or that training wrote")
    }
    if isData { return try DataInspection(path, options: columns) }
    if InputPath.isDirectory(path) { return try RunInspection(path) }
    if let directory = RunDirectory.directory(ofFile: path) {
      throw CommandFailure(
        .usage,
        "\(path) is a file of a training run" + didYouMean("semg-train inspect \(directory)"))
    }
    if isArchive { return try ArchiveInspection(path) }
    try InputPath.checkKind(path, expected: "a recording (CSV), a .keras file or a run directory")
    return try RecordingInspection(path, options: columns)
  }
}

/// What `inspect` finds: JSON, or text for people.
protocol Inspection: Encodable {
  var text: String { get }
}

/// Paths that the user gives to be read.
enum InputPath {
  /// - Throws: `CommandFailure` (66) with the nearest path that there is.
  static func check(_ path: String) throws {
    guard access(path, F_OK) == 0 else {
      let reason = reason
      if path == ArtifactOptions.defaultDirectory, brokenLink(in: path) == nil {
        throw CommandFailure(
          .unreadable, "\(path): \(reason); train first, or name the directory of the artifacts")
      }
      throw CommandFailure(.unreadable, "\(path): \(reason)" + hint(forMissing: path))
    }
    guard access(path, R_OK) == 0 else {
      throw CommandFailure(.unreadable, "\(path): cannot be read: \(reason)")
    }
  }

  /// Whether a file is a trained model: by its name, or by what is in it.
  static func isArchive(_ path: String) -> Bool {
    guard !isDirectory(path) else { return false }
    return path.lowercased().hasSuffix(".keras") || ForeignFile.isKerasArchive(path)
  }

  /// Finds files and directories that are something else altogether, by their content.
  ///
  /// - Throws: `CommandFailure` (65) with what it is and what to do.
  static func checkKind(_ path: String, expected: String) throws {
    guard let file = ForeignFile(at: path) else { return }
    throw CommandFailure(
      .badData, "\(path): found \(file.found), expected \(expected). \(file.advice)")
  }

  /// What may be meant by a path that leads nowhere, or the link that leads there; empty where
  /// nothing is known. It follows a sentence.
  static func hint(forMissing path: String) -> String {
    if let (link, target) = brokenLink(in: path) {
      return ". The link \(link) points to \(target), where nothing is"
    }
    return didYouMean(Suggestions.path(near: path))
  }

  /// The first link of a path that leads nowhere, and to where it points.
  static func brokenLink(in path: String) -> (link: String, target: String)? {
    var known = path.hasPrefix("/") ? "/" : ""
    for component in path.split(separator: "/") {
      known += component
      var information = stat()
      if stat(known, &information) != 0 {
        let target = try? FileManager.default.destinationOfSymbolicLink(atPath: known)
        return target.map { (known, $0) }
      }
      known += "/"
    }
    return nil
  }

  static func isDirectory(_ path: String) -> Bool {
    var information = stat()
    return stat(path, &information) == 0 && information.st_mode & S_IFMT == S_IFDIR
  }

  private static var reason: String {
    errno == ENOENT ? "no such file or directory" : String(cString: strerror(errno))
  }
}
