import Foundation

/// Threads and files that this process may still open. Dispatch and OpenMP do not say where a
/// thread cannot be started: the one waits for ever, the other ends the program.
enum ThreadRoom {
  /// Threads besides those that compute: one for signals, two for files, two that train at the same
  /// time.
  static let besides = 5
  /// Files that are open at the same time: of the program's events, recordings and a model.
  private static let files = 24

  /// Address space of a thread's stack.
  static var stackBytes: Int {
    var attributes = pthread_attr_t()
    var size = 0
    pthread_attr_init(&attributes)
    defer { pthread_attr_destroy(&attributes) }
    return pthread_attr_getstacksize(&attributes, &size) == 0 ? size : 8 << 20
  }

  /// Finds what the program cannot run without.
  ///
  /// - Throws: `CommandFailure` (69).
  static func check() throws(CommandFailure) {
    let threads = startable(upTo: besides)
    guard threads == besides else {
      throw CommandFailure(
        .unavailable,
        "only \(threads) of the \(besides) threads that the program needs can be started: raise the "
          + "limit of processes (ulimit -u) or of memory (ulimit -v), or end what else runs")
    }
    let open = openable(upTo: files)
    guard open == files else {
      throw CommandFailure(
        .unavailable,
        "only \(open) of the \(files) files that the program needs can be open at the same time: "
          + "raise the limit, ulimit -n 64")
    }
  }

  /// How many threads, of so many, can run at the same time now, found by starting them.
  static func startable(upTo count: Int) -> Int {
    let gate = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    pthread_mutex_init(gate, nil)
    defer {
      pthread_mutex_destroy(gate)
      gate.deallocate()
    }
    var threads: [pthread_t] = []
    pthread_mutex_lock(gate)
    for _ in 0..<count {
      var thread = pthread_t()
      let code = pthread_create(
        &thread, nil,
        { gate in
          if let gate = gate?.assumingMemoryBound(to: pthread_mutex_t.self) {
            pthread_mutex_lock(gate)
            pthread_mutex_unlock(gate)
          }
          return nil
        }, gate)
      guard code == 0 else { break }
      threads.append(thread)
    }
    pthread_mutex_unlock(gate)
    for thread in threads { pthread_join(thread, nil) }
    return threads.count
  }

  private static func openable(upTo count: Int) -> Int {
    var descriptors: [Int32] = []
    defer { descriptors.forEach { close($0) } }
    for _ in 0..<count {
      let descriptor = open("/", O_RDONLY | O_CLOEXEC)
      guard descriptor >= 0 else { break }
      descriptors.append(descriptor)
    }
    return descriptors.count
  }
}

/// How many threads compute: those that were asked for, by default one for each processor, but no
/// more than there are processors and than can be started.
struct ThreadCount {
  let threads: Int
  /// A sentence where there are fewer than were asked for.
  let remark: String?

  init(_ asked: Int?) {
    let processors = ProcessInfo.processInfo.activeProcessorCount
    let wanted = min(asked ?? processors, processors)
    threads = max(
      1, min(wanted, ThreadRoom.startable(upTo: wanted + ThreadRoom.besides) - ThreadRoom.besides))
    if threads < wanted {
      remark =
        "no more than \(threads) of \(wanted) threads can be started (ulimit -u, ulimit -v); "
        + "results are those of --threads \(threads)"
    } else if let asked, asked > threads {
      remark =
        "--threads \(asked) is more than this machine's processors; taken: \(threads)"
    } else {
      remark = nil
    }
  }
}
