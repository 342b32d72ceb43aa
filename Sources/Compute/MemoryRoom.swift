import Foundation

/// How much more memory this process may take, and what bounds it.
public struct MemoryRoom: Sendable, Equatable, CustomStringConvertible {
  public enum Bound: Sendable, Equatable {
    /// What the machine has free, or can free.
    case machine
    /// The control group of the process or one that it lies in, such as a container's.
    case controlGroup
    /// `ulimit -v`.
    case addressSpace
    /// `ulimit -d`.
    case dataSegment
  }

  public let byteCount: Int
  public let bound: Bound

  public init(byteCount: Int, bound: Bound) {
    self.byteCount = max(0, byteCount)
    self.bound = bound
  }

  /// The tightest bound at this moment.
  ///
  /// - Parameter reserved: address space that the program will take besides memory, such as its
  ///   threads' stacks.
  public static func now(reserved: Int = 0) -> MemoryRoom {
    let found =
      addressSpace(reserved: reserved)
      + [
        ControlGroups.room().map { MemoryRoom(byteCount: $0, bound: .controlGroup) }, machine(),
      ].compactMap { $0 }
    return found.min { $0.byteCount < $1.byteCount } ?? MemoryRoom(byteCount: .max, bound: .machine)
  }

  /// "this machine has 312 MB free", "ulimit -v leaves 312 MB".
  public var description: String {
    let megabytes = "\(byteCount / 1_000_000) MB"
    return switch bound {
    case .machine: "this machine has \(megabytes) free"
    case .controlGroup: "the memory limit of its control group (container, job) leaves \(megabytes)"
    case .addressSpace: "ulimit -v leaves \(megabytes)"
    case .dataSegment: "ulimit -d leaves \(megabytes)"
    }
  }

  /// By the limits of the process itself; nothing where there are none.
  static func addressSpace(reserved: Int) -> [MemoryRoom] {
    // Pages: total, resident, shared, text, library, data.
    let sizes = SystemFile.text("/proc/self/statm").split(whereSeparator: \.isWhitespace)
      .compactMap { Int($0) }
    let page = Int(sysconf(Int32(_SC_PAGESIZE)))
    guard sizes.count >= 6, page > 0 else { return [] }
    func room(_ resource: __rlimit_resource, used: Int, _ bound: Bound) -> MemoryRoom? {
      var limit = rlimit()
      guard getrlimit(Int32(resource.rawValue), &limit) == 0, limit.rlim_cur < rlim_t(Int.max)
      else { return nil }
      return MemoryRoom(byteCount: Int(limit.rlim_cur) - used * page - reserved, bound: bound)
    }
    return [
      room(RLIMIT_AS, used: sizes[0], .addressSpace),
      room(RLIMIT_DATA, used: sizes[5], .dataSegment),
    ].compactMap { $0 }
  }

  private static func machine() -> MemoryRoom? {
    let lines = SystemFile.text("/proc/meminfo").split(separator: "\n")
    func kibibytes(_ name: String) -> Int? {
      lines.first { $0.hasPrefix(name + ":") }?.split(whereSeparator: \.isWhitespace).dropFirst()
        .first.flatMap { Int($0) }
    }
    guard let available = kibibytes("MemAvailable") else { return nil }
    return MemoryRoom(byteCount: 1024 * (available + (kibibytes("SwapFree") ?? 0)), bound: .machine)
  }
}

/// The control groups that this process is in, and what they leave it.
///
/// Version 2 has one tree, version 1 one for each controller. A limit of a group holds for all
/// groups within it, so each one up to the root is asked. Within a container the path may be that
/// of the machine outside; the container's own group is then the root.
enum ControlGroups {
  /// Bytes left by the tightest; nil where none has a limit.
  static func room(
    root: String = "/sys/fs/cgroup", membership: String = SystemFile.text("/proc/self/cgroup")
  ) -> Int? {
    var rooms: [Int] = []
    for line in membership.split(separator: "\n") {
      let fields = line.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
      guard fields.count == 3 else { continue }
      if fields[1].isEmpty {
        for tree in [root, root + "/unified"] {
          rooms += levels(of: fields[2], in: tree).compactMap(roomOfVersion2)
        }
      } else if fields[1].split(separator: ",").contains("memory") {
        rooms += levels(of: fields[2], in: root + "/memory").compactMap(roomOfVersion1)
      }
    }
    return rooms.min()
  }

  /// A group's folder and those above it.
  private static func levels(of path: Substring, in tree: String) -> [String] {
    var parts = path.split(separator: "/").filter { $0 != ".." }
    var result: [String] = []
    while true {
      result.append(([tree] + parts.map(String.init)).joined(separator: "/"))
      guard !parts.isEmpty else { return result }
      parts.removeLast()
    }
  }

  private static func roomOfVersion2(_ folder: String) -> Int? {
    let limits = ["memory.max", "memory.high"].compactMap { number(in: "\(folder)/\($0)") }
    guard let limit = limits.min(), let used = number(in: "\(folder)/memory.current")
    else { return nil }
    return limit - used + reclaimable(in: folder, ["inactive_file", "active_file"])
  }

  private static func roomOfVersion1(_ folder: String) -> Int? {
    // Without a limit it is the largest number of whole pages.
    guard let limit = number(in: "\(folder)/memory.limit_in_bytes"), limit < 1 << 60,
      let used = number(in: "\(folder)/memory.usage_in_bytes")
    else { return nil }
    return limit - used + reclaimable(in: folder, ["total_inactive_file", "total_active_file"])
  }

  /// Files that the kernel keeps in memory, and lets go where memory is short.
  private static func reclaimable(in folder: String, _ names: Set<Substring>) -> Int {
    var sum = 0
    for line in SystemFile.text("\(folder)/memory.stat").split(separator: "\n") {
      let words = line.split(separator: " ")
      if words.count == 2, names.contains(words[0]) { sum += Int(words[1]) ?? 0 }
    }
    return sum
  }

  /// Nil for "max" too.
  private static func number(in file: String) -> Int? {
    SystemFile.text(file).split(whereSeparator: \.isWhitespace).first.flatMap { Int($0) }
  }
}

/// Small files of the kernel.
enum SystemFile {
  /// The file's first 64 KiB; nothing where it cannot be read.
  static func text(_ path: String) -> String {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { return "" }
    defer { close(descriptor) }
    var text: [UInt8] = []
    var part = [UInt8](repeating: 0, count: 4096)
    while text.count < 1 << 16 {
      let count = read(descriptor, &part, part.count)
      guard count > 0 else { break }
      text += part.prefix(count)
    }
    return String(decoding: text, as: UTF8.self)
  }
}
