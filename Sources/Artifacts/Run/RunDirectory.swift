import Foundation

/// Why a run directory cannot be used.
public enum RunDirectoryError: Error, Equatable, CustomStringConvertible {
  /// Another run writes there.
  case locked(path: String)
  case read(FileReadError)
  case badContent(path: String, found: String, expected: String)
  case write(FileWriteError)

  public var kind: ArchiveError.Kind {
    switch self {
    case .locked, .write(.cannotCreate): .cannotCreate
    case .read(.unreadable): .unreadable
    case .read(.failedMidway): .readFailed
    case .badContent: .badContent
    case .write(.failedMidway): .writeFailed
    }
  }

  public var description: String {
    switch self {
    case .locked(let path):
      "\(path) is in use by another run of semg-train. Wait for it to end, or choose another "
        + "--output."
    case .read(let error): error.description
    case .badContent(let path, let found, let expected):
      "\(path): found \(found), expected \(expected). Train again, or restore the file."
    case .write(let error): error.description
    }
  }
}

/// A directory that one run writes its artifacts into, locked while it does.
///
/// A directory that already holds artifacts is renamed `DIR.1`, `DIR.2`, … first: output is never
/// overwritten.
public final class RunDirectory: Sendable {
  /// Absolute, without symbolic links.
  public let path: String
  /// Where the directory of an earlier run was moved to, for the user to know.
  public let earlierRun: String?
  private let lock: Int32

  public static let preprocessingName = "preprocessing.json"
  public static let historyName = "history.csv"
  public static let metricsName = "metrics.json"
  /// Which recording was in which part, so that nothing trained on is taken for a test.
  public static let splitName = "split.csv"
  private static let lockName = ".semg-train.lock"

  /// `best_inception_se.keras` for the model `inception-se`.
  public static func artifactName(of model: String) -> String {
    "best_\(model.replacing("-", with: "_")).keras"
  }

  /// The model whose artifact has a name; for any other name what it would be.
  public static func model(ofArtifact name: String) -> String {
    var name = name[...]
    if name.lowercased().hasSuffix(".keras") { name = name.dropLast(6) }
    if name.hasPrefix("best_"), name.count > 5 { name = name.dropFirst(5) }
    return String(name).replacing("_", with: "-")
  }

  /// Creates or takes over the directory and locks it.
  /// - Throws: `RunDirectoryError.locked` while another run holds it; `.write` where it cannot be
  ///   made.
  public init(creating requested: String) throws(RunDirectoryError) {
    let path = try Self.create(requested)
    var lock = try Self.lock(path)
    var earlier: String?
    AtomicFile.removeLeftovers(of: { Self.isOfARun($0) }, in: path)
    if Self.holdsArtifacts(path) {
      do throws(RunDirectoryError) {
        earlier = try Self.moveAway(path, requested: requested)
      } catch {
        Self.release(lock, in: path)
        throw error
      }
      // The lock went with the old directory; the new one has its own.
      Self.release(lock, in: earlier ?? path)
      _ = try Self.create(path)
      lock = try Self.lock(path)
    }
    self.path = path
    self.lock = lock
    earlierRun = earlier
  }

  deinit { Self.release(lock, in: path) }

  public func file(_ name: String) -> String { "\(path)/\(name)" }
  public func artifact(of model: String) -> String { file(Self.artifactName(of: model)) }

  public func write(_ preprocessing: Preprocessing) throws(FileWriteError) {
    try RunFile.write(json: preprocessing, to: file(Self.preprocessingName))
  }
  public func write(_ history: TrainingHistory) throws(FileWriteError) {
    try RunFile.write(text: history.csv, to: file(Self.historyName))
  }
  public func write(split csv: String) throws(FileWriteError) {
    try RunFile.write(text: csv, to: file(Self.splitName))
  }
  public func write(metrics: some Encodable) throws(FileWriteError) {
    try RunFile.write(json: metrics, to: file(Self.metricsName))
  }

  // MARK: Reading

  /// Whether a run writes into a directory at this moment.
  public static func isInUse(_ path: String) -> Bool {
    let descriptor = open("\(path)/\(lockName)", O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { return false }
    defer { close(descriptor) }
    return flock(descriptor, LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK
  }

  /// The models, of those named, whose artifacts lie in a directory.
  public static func artifacts(in path: String, of models: [String]) -> [(
    model: String, path: String
  )] {
    models.map { ($0, "\(path)/\(artifactName(of: $0))") }.filter {
      FileManager.default.fileExists(atPath: $0.1)
    }
  }

  /// `split.csv` of a run directory, or beside a `.keras` file; nil where there is none.
  public static func splitFile(for path: String) -> String? {
    let file = "\(folder(of: path))/\(splitName)"
    return FileManager.default.fileExists(atPath: file) ? file : nil
  }

  /// The path itself where it is a folder, else the folder it lies in.
  private static func folder(of path: String) -> String {
    var isFolder: ObjCBool = false
    let exists = FileManager.default.fileExists(atPath: path, isDirectory: &isFolder)
    return exists && isFolder.boolValue
      ? path : URL(filePath: path).deletingLastPathComponent().path
  }

  /// Where `preprocessing.json` is looked for: in a run directory, or beside a `.keras` file.
  public static func preprocessingFile(for path: String) -> String {
    "\(folder(of: path))/\(preprocessingName)"
  }

  /// `preprocessing.json` of a run directory, or beside a `.keras` file; nil where there is none.
  public static func preprocessing(for path: String) throws(RunDirectoryError) -> Preprocessing? {
    let file = preprocessingFile(for: path)
    guard FileManager.default.fileExists(atPath: file) else { return nil }
    let data: Data
    do throws(FileReadError) {
      data = try WholeFile.read(file)
    } catch {
      throw .read(error)
    }
    let value: Preprocessing
    do {
      value = try JSONDecoder().decode(Preprocessing.self, from: data)
    } catch let error as DecodingError {
      throw .badContent(path: file, found: text(of: error), expected: "what semg-train writes")
    } catch {
      throw .badContent(path: file, found: "no JSON", expected: "what semg-train writes")
    }
    if let (found, expected) = value.contradiction {
      throw .badContent(path: file, found: found, expected: expected)
    }
    return value
  }

  /// What is wrong with a JSON file, and in which field: `mean[0]`.
  public static func text(of error: DecodingError) -> String {
    switch error {
    case .keyNotFound(let key, let context): return "no \(field(context.codingPath + [key]))"
    case .typeMismatch(_, let context), .valueNotFound(_, let context),
      .dataCorrupted(let context):
      guard !context.codingPath.isEmpty else {
        if case .dataCorrupted = error { return "no JSON" }
        return "another kind of JSON value than an object"
      }
      return "another kind of value at \(field(context.codingPath))"
    @unknown default: return "no JSON"
    }
  }

  private static func field(_ path: [any CodingKey]) -> String {
    path.reduce("") { text, key in
      key.intValue.map { "\(text)[\($0)]" } ?? (text.isEmpty ? "" : text + ".") + key.stringValue
    }
  }

  // MARK: Making

  private static func create(_ path: String) throws(RunDirectoryError) -> String {
    do {
      try FileManager.default.createDirectory(
        atPath: path, withIntermediateDirectories: true)
    } catch {
      throw .write(.cannotCreate(path: path, reason: reason(of: error)))
    }
    guard let resolved = realpath(path, nil) else {
      throw .write(.cannotCreate(path: path, reason: AtomicFile.message(errno)))
    }
    defer { free(resolved) }
    return String(cString: resolved)
  }

  /// What stood in the way of a file that Foundation could not write, in the C library's words.
  public static func reason(of error: any Error) -> String {
    guard let cause = (error as? CocoaError)?.underlying as? POSIXError else { return "\(error)" }
    return AtomicFile.message(cause.code.rawValue)
  }

  /// An exclusive lock on a file of the directory, held by the open descriptor.
  private static func lock(_ path: String) throws(RunDirectoryError) -> Int32 {
    let file = "\(path)/\(lockName)"
    // The file may be removed by the run that held it between opening and locking: look again.
    for _ in 0..<100 {
      let descriptor = open(file, O_RDWR | O_CREAT | O_CLOEXEC, 0o666)
      guard descriptor >= 0 else {
        throw .write(.cannotCreate(path: path, reason: AtomicFile.message(errno)))
      }
      guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
        let code = errno
        close(descriptor)
        if code == EWOULDBLOCK { throw .locked(path: path) }
        throw .write(.cannotCreate(path: path, reason: AtomicFile.message(code)))
      }
      var held = stat()
      var present = stat()
      if fstat(descriptor, &held) == 0, stat(file, &present) == 0, held.st_ino == present.st_ino {
        return descriptor
      }
      close(descriptor)
    }
    throw .locked(path: path)
  }

  /// Removes the lock's file while it is still held: another run may make it anew at once.
  private static func release(_ lock: Int32, in path: String) {
    unlink("\(path)/\(lockName)")
    close(lock)
  }

  /// Whether a run wrote there, however far it came.
  public static func holdsArtifacts(_ path: String) -> Bool {
    let names = (try? FileManager.default.contentsOfDirectory(atPath: path)) ?? []
    return names.contains { isOfARun($0) }
  }

  /// Whether a file of this name is what a run writes.
  private static func isOfARun(_ name: some StringProtocol) -> Bool {
    name.hasSuffix(".keras")
      || [preprocessingName, historyName, metricsName, splitName].contains { $0 == name }
  }

  /// The directory of a file that a run wrote beside its models; nil for any other.
  public static func directory(ofFile path: String) -> String? {
    let url = URL(filePath: path)
    let names = [preprocessingName, historyName, metricsName, splitName]
    let folder = url.deletingLastPathComponent().relativePath
    // A split may lie anywhere under this name.
    let isOfARun = FileManager.default.fileExists(atPath: "\(folder)/\(preprocessingName)")
    return names.contains(url.lastPathComponent) && isOfARun ? folder : nil
  }

  private static func moveAway(_ path: String, requested: String) throws(RunDirectoryError)
    -> String
  {
    if FileManager.default.currentDirectoryPath == path {
      throw .write(
        .cannotCreate(
          path: requested, reason: "the current folder holds artifacts of an earlier run"))
    }
    for number in 1..<10_000 {
      let target = "\(path).\(number)"
      var status = stat()
      if lstat(target, &status) == 0 { continue }
      guard rename(path, target) == 0 else {
        throw .write(
          .cannotCreate(
            path: path,
            reason: "the earlier run there cannot be moved away: \(AtomicFile.message(errno))"))
      }
      return target
    }
    throw .write(.cannotCreate(path: path, reason: "ten thousand earlier runs lie beside it"))
  }
}
