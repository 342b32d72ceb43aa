import Dispatch
import Foundation
import Synchronization

/// Ctrl-C and SIGTERM. While training, the first one asks it to stop, so that the best artifacts
/// stay whole and are told of; a second one, or one at any other time, ends the program at once.
/// Files are renamed into place when they are whole, so that is safe at any moment.
enum Interrupt {
  private static let isDeferred = Atomic(false)
  private static let isPending = Atomic(false)

  /// Whether the user has asked to stop.
  static var isRequested: Bool { isPending.load(ordering: .relaxed) }

  /// Runs `body`, which looks at `isRequested` often and then returns soon.
  static func deferred<Result>(_ body: () throws -> Result) rethrows -> Result {
    isDeferred.store(true, ordering: .relaxed)
    defer { isDeferred.store(false, ordering: .relaxed) }
    return try body()
  }

  /// Takes over both signals; they come to a thread of their own from now on.
  static func install() {
    // A reader that goes away shows as a failed write, see `Console`.
    signal(SIGPIPE, SIG_IGN)
    // A file that may not grow (`ulimit -f`) likewise.
    signal(SIGXFSZ, SIG_IGN)
    for number in [SIGINT, SIGTERM] {
      signal(number, SIG_IGN)
      let source = DispatchSource.makeSignalSource(signal: number, queue: .global())
      let isRegistered = DispatchSemaphore(value: 0)
      source.setRegistrationHandler { isRegistered.signal() }
      source.setEventHandler { received() }
      source.activate()
      // A signal that comes before the source is registered would be lost.
      isRegistered.wait()
      sources.withLock { $0.append(Source(source: source)) }
    }
  }

  private static func received() {
    let isSecond = isPending.exchange(true, ordering: .relaxed)
    guard isSecond || !isDeferred.load(ordering: .relaxed) else { return }
    _exit(ExitStatus.interrupted.rawValue)
  }

  /// Kept for the life of the process; never touched again.
  private struct Source: @unchecked Sendable {
    let source: any DispatchSourceSignal
  }
  private static let sources = Mutex<[Source]>([])
}
