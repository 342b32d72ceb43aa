import Foundation

/// A CSV file that was found, whatever its path says.
public struct RecordingFile: Hashable, Sendable {
  /// The path relative to the directory that was searched; the file's own name where a file was
  /// named directly.
  public let path: String
  /// The path to open.
  public let file: String
  public var layout: RecordingLayout { RecordingLayout(path: path) }

  public init(path: String, file: String) {
    self.path = path
    self.file = file
  }
}

/// The CSV files below a directory, and what was in the way of finding more.
public struct RecordingSearch: Sendable {
  /// Sorted by `path`, byte by byte.
  public private(set) var files: [RecordingFile] = []
  /// Directories that cannot be listed, and things with a recording's name that are none.
  public private(set) var problems: [RecordingError] = []
  /// Links to directories that were not followed, as they were read by another path already.
  public private(set) var linksNotFollowed: [String] = []
  /// The directories that were listed, each once.
  private var listed: Set<DirectoryIdentity> = []
  /// Links to directories, to be followed when all that is not a link was listed.
  private var links: [(directory: String, relative: String)] = []

  /// Finds every `*.csv` (in any case) below `path`, or takes `path` itself where it is a file.
  ///
  /// Names that begin with a dot are skipped. Symbolic links are followed; a directory that is met
  /// again through one is not read again, so that no recording is found twice and no loop is entered.
  ///
  /// - Throws: `.missing` and `.unreadable` where `path` cannot be looked at, `.noRecordings` where
  ///   neither a recording nor a problem lies below it.
  public init(_ path: String) throws(RecordingError) {
    var information = stat()
    guard stat(path, &information) == 0 else {
      throw errno == ENOENT || errno == ENOTDIR
        ? .missing(path: path) : .unreadable(file: path, reason: reasonOfLastFailure())
    }
    guard information.st_mode & S_IFMT == S_IFDIR else {
      files = [
        RecordingFile(
          path: path.split(separator: "/").last.map(String.init) ?? path,
          file: path)
      ]
      return
    }
    let root = path.hasSuffix("/") ? path : path + "/"
    list(directory: root, relative: "")
    var next = 0
    while next < links.count {
      let link = links[next]
      next += 1
      if !list(directory: link.directory + "/", relative: link.relative + "/") {
        linksNotFollowed.append(link.directory)
      }
    }
    files.sort { $0.path.utf8.lexicographicallyPrecedes($1.path.utf8) }
    if files.isEmpty && problems.isEmpty { throw .noRecordings(directory: path) }
  }

  /// Appends what lies below `directory` (which ends with `/`).
  ///
  /// - Returns: false where it was listed before.
  @discardableResult
  private mutating func list(directory: String, relative: String) -> Bool {
    guard let stream = opendir(directory) else {
      problems.append(.unreadable(file: directory, reason: reasonOfLastFailure()))
      return true
    }
    var information = stat()
    if fstat(dirfd(stream), &information) == 0,
      !listed.insert(DirectoryIdentity(information)).inserted
    {
      closedir(stream)
      return false
    }
    var names: [String] = []
    while let entry = readdir(stream) {
      let bytes = withUnsafeBytes(of: entry.pointee.d_name) { Array($0.prefix { $0 != 0 }) }
      guard bytes.first != UInt8(ascii: ".") else { continue }
      if let name = String(validating: bytes, as: UTF8.self) {
        names.append(name)
      } else {
        let shown = String(decoding: bytes, as: UTF8.self)
        problems.append(.nameNotUTF8(directory: directory, name: shown))
      }
    }
    closedir(stream)
    names.sort { $0.utf8.lexicographicallyPrecedes($1.utf8) }
    for name in names { visit(name, directory: directory, relative: relative) }
    return true
  }

  private mutating func visit(_ name: String, directory: String, relative: String) {
    let file = directory + name
    let isNamedAsRecording = name.utf8.count > 4 && name.suffix(4).lowercased() == ".csv"
    var information = stat()
    guard lstat(file, &information) == 0 else {
      problems.append(.unreadable(file: file, reason: reasonOfLastFailure()))
      return
    }
    let isLink = information.st_mode & S_IFMT == S_IFLNK
    if isLink {
      guard stat(file, &information) == 0 else {
        let reason = reasonOfLastFailure()
        let target = try? FileManager.default.destinationOfSymbolicLink(atPath: file)
        problems.append(
          .unreadable(
            file: file, reason: "the link leads nowhere: \(target ?? "its target"): \(reason)"))
        return
      }
    }
    switch information.st_mode & S_IFMT {
    case S_IFDIR:
      if isNamedAsRecording { problems.append(.directoryNamedAsRecording(file: file)) }
      if isLink {
        links.append((file, relative + name))
      } else {
        list(directory: file + "/", relative: relative + name + "/")
      }
    case S_IFREG:
      if isNamedAsRecording { files.append(RecordingFile(path: relative + name, file: file)) }
    default:
      if isNamedAsRecording { problems.append(.notARegularFile(file: file)) }
    }
  }
}

/// What makes a directory the same by whatever path it is met.
private struct DirectoryIdentity: Hashable {
  let device: UInt
  let inode: UInt

  init(_ information: stat) {
    (device, inode) = (UInt(information.st_dev), UInt(information.st_ino))
  }
}

/// The recordings of a data directory, each with a gesture.
public struct RecordingSet: Sendable {
  /// Sorted by `path`, byte by byte.
  public let descriptors: [RecordingDescriptor]
  /// What was found and cannot be used, beginning with what the search met.
  public let problems: [RecordingError]
  /// See ``RecordingSearch/linksNotFollowed``.
  public let linksNotFollowed: [String]

  /// Finds the recordings below `directory`; see ``RecordingSearch``.
  public init(directory: String) throws(RecordingError) {
    let search = try RecordingSearch(directory)
    var descriptors: [RecordingDescriptor] = []
    var problems = search.problems
    for found in search.files {
      let layout = found.layout
      guard layout.contradiction.isEmpty else {
        problems.append(.contradictoryPath(file: found.file, found: layout.contradiction))
        continue
      }
      guard let gesture = layout.gesture else {
        problems.append(.noGesture(file: found.file))
        continue
      }
      descriptors.append(
        RecordingDescriptor(
          path: found.path, file: found.file, session: layout.session, gesture: gesture,
          subject: layout.subject))
    }
    self.descriptors = descriptors
    self.problems = problems
    linksNotFollowed = search.linksNotFollowed
  }
}

/// What the system says about the call that just failed.
func reasonOfLastFailure() -> String { String(cString: strerror(errno)) }
