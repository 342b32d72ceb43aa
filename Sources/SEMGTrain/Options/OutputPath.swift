import Foundation

/// The directory that training is to write.
enum OutputPath {
  /// Finds what would keep a run from writing there, before any work is done.
  ///
  /// - Throws: `CommandFailure` (73) where the directory could not be made or renamed.
  static func check(_ path: String) throws {
    let url = URL(filePath: path).standardizedFileURL
    guard url.resolvingSymlinksInPath().path != "/" else {
      throw CommandFailure(
        .cannotCreate, "--output \(path) is the root of all files; choose a directory below it")
    }
    var information = stat()
    if stat(path, &information) == 0, information.st_mode & S_IFMT != S_IFDIR {
      throw CommandFailure(
        .cannotCreate, "--output \(path): found a file there, expected a directory or nothing")
    }
    if let (link, target) = InputPath.brokenLink(in: path) {
      throw CommandFailure(
        .cannotCreate,
        "--output \(path) cannot be created: the link \(link) points to \(target), where nothing is"
      )
    }
    var place = url.deletingLastPathComponent()
    while stat(place.path, &information) != 0, place.path != "/" { place.deleteLastPathComponent() }
    guard information.st_mode & S_IFMT == S_IFDIR else {
      throw CommandFailure(
        .cannotCreate, "--output \(path) cannot be created: \(place.path) is a file")
    }
    guard access(place.path, W_OK | X_OK) == 0 else {
      let reason = String(cString: strerror(errno))
      throw CommandFailure(
        .cannotCreate,
        "--output \(path) cannot be created: \(place.path): \(reason). Choose another --output")
    }
  }

  /// What a run that was stopped leaves, in words.
  ///
  /// - Parameter path: nil where it had opened no directory yet.
  static func contentsAfterInterrupt(_ path: String?) -> String {
    let names = path.flatMap { try? FileManager.default.contentsOfDirectory(atPath: $0) } ?? []
    let kept = names.filter { $0.hasSuffix(".keras") }.sorted()
    guard let path, !kept.isEmpty else {
      return "interrupted before an epoch was finished: no model was written"
    }
    return "interrupted; the best so far is in \(path): " + kept.joined(separator: ", ")
  }
}
