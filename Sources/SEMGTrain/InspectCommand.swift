import ArgumentParser
import Artifacts
import Foundation

struct InspectCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "inspect",
    abstract: "Say what recordings, a .keras file or a run directory hold.")

  @Argument(
    help: .init(
      "A recording, a directory of them, a .keras file, or a directory that training wrote.",
      valueName: "path"),
    completion: .file())
  var path: String
  @OptionGroup(title: "Recordings") var columns: ColumnOptions
  @OptionGroup(title: "Output") var output: OutputOptions

  func run() throws {
    let console = output.console
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
    if isData {
      try console.inspect(DataInspection(path, options: columns), isJSON: output.json)
    } else if InputPath.isDirectory(path) {
      try console.inspect(RunInspection(path), isJSON: output.json)
    } else if let directory = RunDirectory.directory(ofFile: path) {
      throw CommandFailure(
        .usage,
        "\(path) is a file of a training run" + didYouMean("semg-train inspect \(directory)"))
    } else if isArchive {
      try console.inspect(ArchiveInspection(path), isJSON: output.json)
    } else {
      try InputPath.checkKind(path, expected: "a recording (CSV), a .keras file or a run directory")
      try console.inspect(RecordingInspection(path, options: columns), isJSON: output.json)
    }
  }
}

/// What `inspect` finds: JSON, or text for people.
protocol Inspection: Encodable {
  var text: String { get }
}

extension Console {
  fileprivate func inspect(_ inspection: some Inspection, isJSON: Bool) throws {
    if isJSON { try result(json: inspection) } else { try result(inspection.text) }
  }
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
