import Foundation

/// A process of this same program that tries OpenCL's drivers, seen from its parent.
final class DriverProcess {
  /// How it went wrong.
  enum Failure: Error, Equatable {
    /// It could not be started at all.
    case unavailable(reason: String)
    /// - Parameter lastWords: what was last written to its standard error, where anything was.
    case crashed(signal: Int32, lastWords: String)
    case ended(status: Int32, lastWords: String)
    case tookTooLong(seconds: Int)
    case answeredNonsense
  }

  private var process: pid_t = 0
  /// Requests and answers.
  private var socket: Int32 = -1
  /// What it writes to its standard output and error.
  private var stream: Int32 = -1
  private var received: [UInt8] = []
  private var said: [UInt8] = []
  /// Of what was said, so much is kept.
  private static let saidLimit = 16_384
  /// Between looks at whether it still runs.
  private static let lookMilliseconds = 200.0
  /// Seconds that a process which was killed has to go: one that hangs within the kernel does not.
  private static let reapingSeconds = 5

  /// - Throws: `Failure.unavailable`.
  init() throws(Failure) {
    var ends: [Int32] = [-1, -1]
    var pipes: [Int32] = [-1, -1]
    let type = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
    guard socketpair(AF_UNIX, type, 0, &ends) == 0 else { throw Self.unavailable(errno) }
    guard socketpair(AF_UNIX, type, 0, &pipes) == 0 else {
      let code = errno
      ends.forEach { close($0) }
      throw Self.unavailable(code)
    }
    (socket, stream) = (ends[0], pipes[0])
    let code = Self.spawn(input: ends[1], output: pipes[1], process: &process)
    close(ends[1])
    close(pipes[1])
    guard code == 0 else {
      process = 0
      throw Self.unavailable(code)
    }
  }

  deinit { end() }

  /// Ends the process, wherever it is.
  func end() {
    for descriptor in [socket, stream] where descriptor >= 0 { close(descriptor) }
    (socket, stream) = (-1, -1)
    if process > 0 { stop() }
  }

  /// The answer to a request.
  ///
  /// - Throws: `Failure`; the process is gone then, and no further request is answered.
  func ask(_ request: DriverRequest, seconds: Int) throws(Failure) -> DriverAnswer {
    guard process > 0, var bytes = try? JSONEncoder().encode(request) else {
      throw .answeredNonsense
    }
    bytes.append(UInt8(ascii: "\n"))
    // A request is far smaller than a socket's buffer: either it goes, or nobody is there.
    let sent = bytes.withUnsafeBytes { send(socket, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
    guard sent == bytes.count else { throw ended() }
    let line = try receiveLine(deadline: .now + .seconds(seconds), seconds: seconds)
    guard let answer = try? JSONDecoder().decode(DriverAnswer.self, from: Data(line)) else {
      stop()
      throw .answeredNonsense
    }
    return answer
  }

  private func receiveLine(
    deadline: ContinuousClock.Instant, seconds: Int
  ) throws(Failure) -> [UInt8] {
    while true {
      if let end = received.firstIndex(of: UInt8(ascii: "\n")) {
        defer { received.removeSubrange(...end) }
        return Array(received[..<end])
      }
      let left = (deadline - .now) / .milliseconds(1)
      guard left > 0 else {
        stop()
        throw .tookTooLong(seconds: seconds)
      }
      var items = [socket, stream].map { pollfd(fd: $0, events: Int16(POLLIN), revents: 0) }
      guard poll(&items, 2, Int32(min(left + 1, Self.lookMilliseconds))) > 0 else {
        // Its end of the socket may stay open: a compiler that it started has it too.
        if isOver { throw ended() }
        continue
      }
      if items[1].revents != 0 { listen() }
      if items[0].revents != 0, !receive() { throw ended() }
    }
  }

  /// - Returns: whether the other end is still there.
  private func receive() -> Bool {
    var bytes = [UInt8](repeating: 0, count: 4_096)
    let count = recv(socket, &bytes, bytes.count, Int32(MSG_DONTWAIT))
    if count < 0 && (errno == EINTR || errno == EAGAIN) { return true }
    guard count > 0 else { return false }
    received += bytes.prefix(count)
    return true
  }

  /// Takes what it has said, so that it never waits for us to.
  private func listen() {
    var bytes = [UInt8](repeating: 0, count: 4_096)
    let count = read(stream, &bytes, bytes.count)
    guard count > 0 else {
      if count == 0 || errno != EINTR {
        close(stream)
        stream = -1  // poll passes over it
      }
      return
    }
    said = (said + bytes.prefix(count)).suffix(Self.saidLimit)
  }

  // MARK: Its end

  /// It closed its end of the socket: how it ended.
  private func ended() -> Failure {
    var item = pollfd(fd: stream, events: Int16(POLLIN), revents: 0)
    while stream >= 0, poll(&item, 1, 0) > 0 {
      listen()
      item.fd = stream
    }
    let pid = process
    guard let status = reap() else {
      kill(-pid, SIGKILL)
      kill(pid, SIGKILL)
      return .tookTooLong(seconds: Self.reapingSeconds)
    }
    let signal = status & 0x7f
    if signal != 0 { return .crashed(signal: signal, lastWords: lastWords) }
    return .ended(status: (status >> 8) & 0xff, lastWords: lastWords)
  }

  /// The last line that it wrote, without what a terminal would not show.
  private var lastWords: String {
    let lines = String(decoding: said, as: UTF8.self).split(whereSeparator: \.isNewline)
    guard let line = lines.last(where: { !$0.allSatisfy(\.isWhitespace) }) else { return "" }
    return String(
      line.unicodeScalars.filter { $0.value >= 32 && $0.value != 127 }.prefix(300).map {
        Character($0)
      })
  }

  /// Kills it, and whatever it has started.
  private func stop() {
    // 0 would be our own group.
    guard process > 0 else { return }
    kill(-process, SIGKILL)
    kill(process, SIGKILL)
    _ = reap()
    process = 0
  }

  private var isOver: Bool {
    var information = siginfo_t()
    let options = WEXITED | WNOHANG | WNOWAIT
    return waitid(P_PID, id_t(process), &information, options) == 0
      && information.si_signo == SIGCHLD
  }

  /// - Returns: its status; nil where it does not end, which only a process within the kernel does.
  private func reap() -> Int32? {
    let deadline = ContinuousClock.now + .seconds(Self.reapingSeconds)
    defer { process = 0 }
    while process > 0 {
      var status: Int32 = 0
      let found = waitpid(process, &status, WNOHANG)
      if found == process { return status }
      guard found == 0 || errno == EINTR, .now < deadline else { return nil }
      usleep(2_000)
    }
    return nil
  }

  private static func unavailable(_ code: Int32) -> Failure {
    .unavailable(reason: String(cString: strerror(code)))
  }

  /// Leads a group of its own, so that the compilers which it starts can be ended with it.
  private static func spawn(input: Int32, output: Int32, process: inout pid_t) -> Int32 {
    let path = "/proc/self/exe"
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    posix_spawn_file_actions_adddup2(&actions, input, 0)
    posix_spawn_file_actions_adddup2(&actions, output, 1)
    posix_spawn_file_actions_adddup2(&actions, output, 2)
    var attributes = posix_spawnattr_t()
    posix_spawnattr_init(&attributes)
    defer { posix_spawnattr_destroy(&attributes) }
    posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETPGROUP))
    posix_spawnattr_setpgroup(&attributes, 0)
    var arguments: [UnsafeMutablePointer<CChar>?] = [
      strdup(CommandLine.arguments.first ?? path), strdup(DriverRequest.command), nil,
    ]
    var environment: [UnsafeMutablePointer<CChar>?] = ProcessInfo.processInfo.environment.map {
      strdup("\($0.key)=\($0.value)")
    }
    environment.append(nil)
    defer { for pointer in arguments + environment { free(pointer) } }
    return posix_spawn(&process, path, &actions, &attributes, &arguments, &environment)
  }
}
