import Dispatch
import Synchronization

/// Reads recordings one after another in memory of its own. One reader a thread.
public final class RecordingReader {
  let text = FileText()
  let decimals = DecimalScanner()
  public let options: ReadOptions

  public init(options: ReadOptions) { self.options = options }

  /// Reads the recording at `file`: CSV, with or without a header line, one row per sample.
  ///
  /// - Throws: what is wrong with the file, by the first thing found.
  public func read(_ file: String) throws(RecordingError) -> Recording {
    try text.read(file)
    return try RecordingScanner(text, file: file, options: options, decimals: decimals).scan()
  }
}

/// What came of reading many recordings. `values` and `fingerprints` lie as the recordings do.
public struct ReadReport<Value: Sendable>: Sendable {
  /// What `body` made of each recording; nil for those that have a problem.
  public let values: [Value?]
  public let fingerprints: [Fingerprint?]
  /// At most one per recording, in the recordings' order.
  public let problems: [RecordingError]
}

/// Reads the files on `threads` threads and gives each recording to `body`, in no fixed order; the
/// report has the files' order. A worker holds one file's text and one recording at a time.
///
/// `body` runs on the worker that read the recording. Where it throws a `RecordingError`, that is
/// the recording's problem; any other error of it ends the reading and is thrown (the first in the
/// files' order among those met).
public func readRecordings<Value: Sendable>(
  _ files: [String], options: ReadOptions, threads: Int,
  body: @Sendable (Int, Recording) throws -> Value
) throws -> ReadReport<Value> {
  let nextIndex = Atomic<Int>(0)
  let outcomes = Mutex([Outcome<Value>?](repeating: nil, count: files.count))
  DispatchQueue.concurrentPerform(iterations: max(1, min(threads, files.count))) { _ in
    let reader = RecordingReader(options: options)
    while true {
      let index = nextIndex.wrappingAdd(1, ordering: .relaxed).oldValue
      guard index < files.count else { return }
      let outcome = outcome(of: files[index], at: index, reader: reader, body: body)
      if case .stopped = outcome { nextIndex.store(files.count, ordering: .relaxed) }
      outcomes.withLock { $0[index] = outcome }
    }
  }
  return try report(outcomes.withLock { $0 })
}

/// Reads the files of `descriptors`; otherwise as the function above.
public func readRecordings<Value: Sendable>(
  _ descriptors: [RecordingDescriptor], options: ReadOptions, threads: Int,
  body: @Sendable (Int, Recording) throws -> Value
) throws -> ReadReport<Value> {
  try readRecordings(descriptors.map(\.file), options: options, threads: threads, body: body)
}

/// What became of one file.
private enum Outcome<Value: Sendable>: Sendable {
  case made(Value, Fingerprint)
  case bad(RecordingError)
  case stopped(any Error)
}

private func outcome<Value>(
  of file: String, at index: Int, reader: RecordingReader,
  body: (Int, Recording) throws -> Value
) -> Outcome<Value> {
  do {
    let recording = try reader.read(file)
    return .made(try body(index, recording), recording.fingerprint)
  } catch let error as RecordingError {
    return .bad(error)
  } catch {
    return .stopped(error)
  }
}

private func report<Value>(_ outcomes: [Outcome<Value>?]) throws -> ReadReport<Value> {
  var values: [Value?] = []
  var fingerprints: [Fingerprint?] = []
  var problems: [RecordingError] = []
  for outcome in outcomes {
    switch outcome {
    case .made(let value, let fingerprint):
      values.append(value)
      fingerprints.append(fingerprint)
      continue
    case .bad(let error): problems.append(error)
    case .stopped(let error): throw error
    case nil: break  // Not reached: another file's error stopped the reading, and is thrown.
    }
    values.append(nil)
    fingerprints.append(nil)
  }
  return ReadReport(values: values, fingerprints: fingerprints, problems: problems)
}
