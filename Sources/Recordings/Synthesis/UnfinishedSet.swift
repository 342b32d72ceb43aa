import Foundation

/// The folder in which a set of recordings is made before it is renamed into place. It is locked as
/// long as its maker lives: so the next one sees what a killed one left, and what another one is
/// still at.
final class UnfinishedSet {
  let path: String
  private let lock: Int32

  /// Makes the folder beside `target`, and removes those there whose makers are gone.
  ///
  /// - Throws: `SynthesisError.cannotCreate`.
  init(beside target: String) throws(SynthesisError) {
    let url = URL(filePath: target)
    let folder = url.deletingLastPathComponent().path
    let prefix = ".\(url.lastPathComponent).writing-"
    Self.removeLeftovers(in: folder, prefix: prefix)
    // Random: in a container, a killed program's number may be the next one's too.
    path = "\(folder)/\(prefix)\(UInt32.random(in: 0 ... .max))"
    guard makeDirectories(path) else {
      throw .cannotCreate(path: target, reason: reasonOfLastFailure())
    }
    lock = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard lock >= 0 else { throw .cannotCreate(path: target, reason: reasonOfLastFailure()) }
    flock(lock, LOCK_EX | LOCK_NB)
  }

  deinit { close(lock) }

  /// - Throws: `SynthesisError.cannotCreate`.
  func rename(to target: String) throws(SynthesisError) {
    guard Foundation.rename(path, target) == 0 else {
      throw .cannotCreate(path: target, reason: reasonOfLastFailure())
    }
  }

  func remove() { try? FileManager.default.removeItem(atPath: path) }

  private static func removeLeftovers(in folder: String, prefix: String) {
    let names = (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
    for name in names where name.hasPrefix(prefix) {
      guard !name.dropFirst(prefix.count).contains(where: { !$0.isNumber }) else { continue }
      let path = "\(folder)/\(name)"
      let descriptor = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
      guard descriptor >= 0 else { continue }
      defer { close(descriptor) }
      if flock(descriptor, LOCK_EX | LOCK_NB) == 0 {
        try? FileManager.default.removeItem(atPath: path)
      }
    }
  }
}
