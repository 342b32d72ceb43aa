import Dispatch
import Synchronization

/// A value that is made on another thread, from the moment it is asked for.
final class Background<Value: Sendable>: Sendable {
  private let made = Mutex<Value?>(nil)
  private let group = DispatchGroup()

  init(_ make: @escaping @Sendable () -> Value) {
    DispatchQueue.global().async(group: group) { [self] in
      let value = make()
      made.withLock { $0 = value }
    }
  }

  /// Waits until it is made.
  var value: Value? {
    group.wait()
    return made.withLock { $0 }
  }
}

/// Jobs that are done on another thread, one after another in the order in which they are given.
final class BackgroundQueue: Sendable {
  private let queue: DispatchQueue
  /// Jobs that may wait; whoever gives another one waits, too.
  private let room = DispatchSemaphore(value: 8)
  private let firstFailure = Mutex<(any Error)?>(nil)

  init(label: String) { queue = DispatchQueue(label: label) }

  /// What the first job that failed threw; those after it are not done.
  var failure: (any Error)? { firstFailure.withLock { $0 } }

  func add(_ job: @escaping @Sendable () throws -> Void) {
    room.wait()
    queue.async { [self] in
      defer { room.signal() }
      guard failure == nil else { return }
      do { try job() } catch { firstFailure.withLock { $0 = error } }
    }
  }

  /// Waits until all are done.
  ///
  /// - Throws: what the first job that failed threw.
  func finish() throws {
    queue.sync {}
    if let failure { throw failure }
  }
}
