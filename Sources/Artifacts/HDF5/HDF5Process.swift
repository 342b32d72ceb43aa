import Foundation

/// Which program reads HDF5 files for us in a process of its own: one that calls
/// `HDF5Child.runIfRequested` before anything else.
public enum HDF5Helper: Sendable, Hashable {
  /// `semg-hdf5-reader` where it lies beside this program, as it does beside the tests; otherwise
  /// this program itself.
  case automatic
  case selfExecutable
  case path(String)

  /// The program's path.
  public var executable: String {
    let own =
      (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe"))
      ?? CommandLine.arguments.first ?? ""
    switch self {
    case .path(let path): return path
    case .selfExecutable: return own
    case .automatic:
      let beside = URL(filePath: own).deletingLastPathComponent().appending(
        path: "semg-hdf5-reader"
      ).path
      return FileManager.default.isExecutableFile(atPath: beside) ? beside : own
    }
  }
}

/// A process that reads one HDF5 file, seen from its parent. Believes nothing it says.
final class HDF5Process {
  /// Why a conversation ended early; the caller knows the file's path.
  enum Failure: Error {
    case unavailable(reason: String)
    /// The child's own sentence about the file.
    case refused(reason: String)
    case failed(how: String)
  }

  private var process: pid_t = 0
  private var socket: Int32 = -1
  private var deadline: ContinuousClock.Instant

  /// Seconds until a program that was started must have said that it reads HDF5.
  private static let greetingSeconds = 10
  /// Seconds that a process which closed its end has to be gone, and one that was killed.
  private static let endingSeconds = 5

  init(helper: String, memory: Int, seconds: Int) throws(Failure) {
    deadline = .now + .seconds(min(seconds, Self.greetingSeconds))
    guard getenv(HDF5Messages.environmentMark) == nil else {
      throw .unavailable(reason: "this process is itself one that reads HDF5")
    }
    var ends: [Int32] = [-1, -1]
    let type = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
    guard socketpair(AF_UNIX, type, 0, &ends) == 0 else {
      throw .unavailable(reason: AtomicFile.message(errno))
    }
    socket = ends[0]
    let code = Self.spawn(
      helper, arguments: [helper, HDF5Messages.command, "\(memory)", "\(seconds)"],
      input: ends[1], process: &process)
    close(ends[1])
    guard code == 0 else {
      process = 0
      throw .unavailable(reason: AtomicFile.message(code))
    }
    let greeting: [UInt8]
    do {
      greeting = try receive(count: HDF5Messages.magic.count)
    } catch {
      throw .unavailable(reason: "it does not answer as a reader of HDF5")
    }
    guard greeting == HDF5Messages.magic else {
      throw .unavailable(reason: "it answers, but not as a reader of HDF5")
    }
    deadline = .now + .seconds(seconds)
  }

  deinit {
    if socket >= 0 { close(socket) }
    stop()
  }

  // MARK: Conversation

  /// Hands over the file; what it holds.
  func open(_ image: Data) throws(Failure) -> [HDF5Dataset] {
    var size = MessageWriter()
    size.append(UInt64(image.count))
    try send(Data(size.bytes))
    try send(image)
    try expect(HDF5Messages.listing)
    let count = Int(try receive(UInt32.self))
    guard count <= HDF5Messages.datasetLimit else { throw nonsense }
    var datasets: [HDF5Dataset] = []
    for _ in 0..<count {
      let path = try receiveText(limit: HDF5Messages.pathLimit)
      guard let kind = HDF5Dataset.Kind(rawValue: try receive(UInt8.self)) else { throw nonsense }
      let size = Int(try receive(UInt8.self))
      let rank = Int(try receive(UInt8.self))
      guard rank <= HDF5Messages.rankLimit else { throw nonsense }
      var shape: [Int] = []
      for _ in 0..<rank {
        guard let extent = Int(exactly: try receive(UInt64.self)) else { throw nonsense }
        shape.append(extent)
      }
      datasets.append(HDF5Dataset(path: path, kind: kind, size: size, shape: shape))
    }
    return datasets
  }

  /// Values of the listed datasets with these indices, whose shapes the caller has judged.
  func values(of wanted: [(index: Int, dataset: HDF5Dataset)]) throws(Failure) -> [HDF5Values] {
    var request = MessageWriter()
    request.append(UInt32(wanted.count))
    for item in wanted { request.append(UInt32(item.index)) }
    try send(Data(request.bytes))
    var values: [HDF5Values] = []
    for item in wanted {
      try expect(HDF5Messages.values)
      guard let count = item.dataset.elementCount else { throw nonsense }
      switch item.dataset.kind {
      case .float, .bfloat16: values.append(.floats(try receive(elements: count, zero: 0)))
      case .integer: values.append(.integers(try receive(elements: count, zero: 0)))
      }
    }
    return values
  }

  private func expect(_ tag: UInt8) throws(Failure) {
    let found = try receive(UInt8.self)
    if found == HDF5Messages.refusal {
      throw .refused(reason: try receiveText(limit: 4_096))
    }
    guard found == tag else { throw nonsense }
  }

  private var nonsense: Failure { .failed(how: "answered nonsense") }

  // MARK: Bytes

  private func send(_ data: Data) throws(Failure) {
    var offset = 0
    while offset < data.count {
      try wait(for: Int16(POLLOUT))
      let count = data.withUnsafeBytes {
        Foundation.send(
          socket, $0.baseAddress?.advanced(by: offset), $0.count - offset,
          Int32(MSG_NOSIGNAL) | Int32(MSG_DONTWAIT))
      }
      if count < 0 && (errno == EINTR || errno == EAGAIN) { continue }
      guard count > 0 else { throw ended() }
      offset += count
    }
  }

  private func receive<Value: FixedWidthInteger & BitwiseCopyable>(_ type: Value.Type)
    throws(Failure) -> Value
  {
    let bytes = try receive(count: MemoryLayout<Value>.size)
    return bytes.withUnsafeBytes { $0.loadUnaligned(as: Value.self) }
  }

  private func receive(count: Int) throws(Failure) -> [UInt8] {
    try receive(elements: count, zero: 0)
  }

  private func receiveText(limit: Int) throws(Failure) -> String {
    let count = Int(try receive(UInt16.self))
    guard count <= limit else { throw nonsense }
    return String(decoding: try receive(count: count), as: UTF8.self)
  }

  private func receive<Element: BitwiseCopyable>(elements: Int, zero: Element) throws(Failure)
    -> [Element]
  {
    var values = [Element](repeating: zero, count: elements)
    let total = elements * MemoryLayout<Element>.stride
    var offset = 0
    while offset < total {
      try wait(for: Int16(POLLIN))
      let count = values.withUnsafeMutableBytes {
        recv(
          socket, $0.baseAddress?.advanced(by: offset), total - offset,
          Int32(MSG_DONTWAIT))
      }
      if count < 0 && (errno == EINTR || errno == EAGAIN) { continue }
      guard count > 0 else { throw ended() }
      offset += count
    }
    return values
  }

  private func wait(for events: Int16) throws(Failure) {
    while true {
      let left = deadline - .now
      guard left > .zero else {
        stop()
        throw .failed(how: "took too long and was stopped")
      }
      var item = pollfd(fd: socket, events: events, revents: 0)
      let milliseconds = Int32(clamping: left.components.seconds * 1_000 + 1_000)
      if poll(&item, 1, milliseconds) > 0 { return }
    }
  }

  // MARK: The process

  /// The child closed its end: how it ended.
  private func ended() -> Failure {
    guard process > 0 else { return .failed(how: "had ended before") }
    guard let status = reap(until: min(deadline, .now + .seconds(Self.endingSeconds))) else {
      stop()
      return .failed(how: "stopped answering, did not end, and was stopped")
    }
    let signal = status & 0x7f
    if signal == 0 { return .failed(how: "ended early with status \((status >> 8) & 0xff)") }
    if signal == SIGXCPU { return .failed(how: "used too much processor time and was stopped") }
    return .failed(how: "crashed (\(String(cString: strsignal(signal))))")
  }

  /// Kills the process where there still is one. Its number is a stranger's once it was reaped, and
  /// 0 would be every process of our own group.
  private func stop() {
    guard process > 0 else { return }
    kill(process, SIGKILL)
    _ = reap(until: .now + .seconds(Self.endingSeconds))
    process = 0
  }

  /// - Returns: its status; nil where it still runs at that time.
  private func reap(until time: ContinuousClock.Instant) -> Int32? {
    while true {
      var status: Int32 = 0
      let found = waitpid(process, &status, WNOHANG)
      // Anything but 0: it is gone. Where its status was not kept for us, as under a parent that
      // ignores SIGCHLD, it counts as 0.
      if found != 0, found > 0 || errno != EINTR {
        process = 0
        return status
      }
      guard .now < time else { return nil }
      usleep(500)
    }
  }

  private static func spawn(
    _ path: String, arguments: [String], input: Int32, process: inout pid_t
  ) -> Int32 {
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    posix_spawn_file_actions_adddup2(&actions, input, 0)
    posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0)
    posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0)
    var argumentList: [UnsafeMutablePointer<CChar>?] = arguments.map { strdup($0) }
    argumentList.append(nil)
    var environment: [UnsafeMutablePointer<CChar>?] = ProcessInfo.processInfo.environment.map {
      strdup("\($0.key)=\($0.value)")
    }
    environment.append(strdup("\(HDF5Messages.environmentMark)=1"))
    environment.append(nil)
    defer { for pointer in argumentList + environment { free(pointer) } }
    return posix_spawn(&process, path, &actions, nil, argumentList, environment)
  }
}
