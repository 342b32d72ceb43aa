import Dispatch
import Foundation
import Synchronization

/// Makes a set of plausible recordings in the layout of the public set:
/// `Session1/session1_subject_3/gesture00_trial01.csv`, a header `ch1,…,ch8`, a row per sample with
/// six decimals, lines that end with CRLF.
///
/// Motor units fire, their action potentials are summed per electrode, and an amplifier adds what
/// amplifiers add: what a model learns from the recordings is what a gesture does to the muscles.
/// The same options give the same files, on any number of threads; a recording does not depend on
/// how many others are made.
public struct Synthesizer: Hashable, Sendable {
  public var subjects: Int
  public var sessions: Int
  public var gestures: Int
  public var trials: Int
  /// Rows of each file.
  public var samples: Int
  /// In hertz.
  public var sampleRate: Double
  public var seed: UInt64

  public init(
    subjects: Int = 5, sessions: Int = 3, gestures: Int = 5, trials: Int = 7, samples: Int = 2560,
    sampleRate: Double = 512, seed: UInt64 = 42
  ) {
    self.subjects = subjects
    self.sessions = sessions
    self.gestures = gestures
    self.trials = trials
    self.samples = samples
    self.sampleRate = sampleRate
    self.seed = seed
  }

  /// How many files `write` makes.
  public var recordingCount: Int { subjects * sessions * gestures * trials }

  /// Writes the recordings below `directory`, which must not exist or be empty. They are written
  /// beside it, and appear under its name when all are there.
  ///
  /// - Throws: `.outOfRange` for options that make no set, `.notEmpty` and `.cannotCreate` where
  ///   there is no place for it, `.writeFailed` where a write fails midway; then nothing is left.
  public func write(to directory: String, threads: Int) throws(SynthesisError) {
    try check()
    let target =
      directory.count > 1 && directory.hasSuffix("/")
      ? String(directory.dropLast()) : directory
    try checkIsFree(target)
    let unfinished = try UnfinishedSet(beside: target)
    do throws(SynthesisError) {
      try writeAll(below: unfinished.path, threads: threads)
      try unfinished.rename(to: target)
    } catch {
      unfinished.remove()
      throw error
    }
  }

  /// One of the recordings in memory, before it is rounded to six decimals: `[samples, 8]`, one row
  /// a sample.
  ///
  /// - Parameters:
  ///   - subject: from 1, as the session and the trial; the gesture counts from 0.
  /// - Throws: `.outOfRange` for options that make no set.
  public func recording(
    subject: Int, session: Int, gesture: Int, trial: Int
  ) throws(SynthesisError) -> [Double] {
    try check()
    precondition(
      (1...subjects).contains(subject) && (1...sessions).contains(session)
        && (0..<gestures).contains(gesture) && (1...trials).contains(trial),
      "a recording of the set")
    let signal = signal(subject: subject, session: session)
    let frames = frames(of: signal, subject, session, gesture, trial)
    return frames.flatMap { frame in (0..<Forearm.electrodes).map { frame[$0] } }
  }

  private func signal(subject: Int, session: Int) -> SynthesizedSignal {
    SynthesizedSignal(
      forearm: Forearm(
        subject: subject, session: session, gestures: gestures, sampleRate: sampleRate,
        seed: seed), sampleRate: sampleRate, sampleCount: samples)
  }

  private func frames(
    of signal: SynthesizedSignal, _ subject: Int, _ session: Int, _ gesture: Int, _ trial: Int
  ) -> [ElectrodeFrame] {
    var random = SynthesisRandom(seed: seed, 6, subject, session, gesture, trial)
    return signal.make(gesture: gesture, &random)
  }

  private func check() throws(SynthesisError) {
    let counts = [
      ("subjects", subjects), ("sessions", sessions), ("gestures", gestures), ("trials", trials),
    ]
    for (option, count) in counts where !(1...999).contains(count) {
      throw .outOfRange(option: option, found: "\(count)", expected: "1 to 999")
    }
    guard (1...10_000_000).contains(samples) else {
      throw .outOfRange(option: "samples", found: "\(samples)", expected: "1 to 10000000")
    }
    guard (200...20_000).contains(sampleRate) else {
      throw .outOfRange(option: "sample-rate", found: "\(sampleRate)", expected: "200 to 20000")
    }
  }

  private func checkIsFree(_ directory: String) throws(SynthesisError) {
    var information = stat()
    guard stat(directory, &information) == 0 else { return }
    guard information.st_mode & S_IFMT == S_IFDIR,
      let entries = try? FileManager.default.contentsOfDirectory(atPath: directory),
      entries.isEmpty
    else { throw .notEmpty(path: directory) }
  }

  /// Writes one arm's recordings after the other, arms in parallel.
  private func writeAll(below root: String, threads: Int) throws(SynthesisError) {
    let arms = (1...sessions).flatMap { session in (1...subjects).map { (session, $0) } }
    let next = Atomic<Int>(0)
    let failure = Mutex<SynthesisError?>(nil)
    DispatchQueue.concurrentPerform(iterations: max(1, min(threads, arms.count))) { _ in
      var text = RecordingText()
      while true {
        let index = next.wrappingAdd(1, ordering: .relaxed).oldValue
        guard index < arms.count else { return }
        do throws(SynthesisError) {
          try writeArm(session: arms[index].0, subject: arms[index].1, below: root, &text)
        } catch {
          next.store(arms.count, ordering: .relaxed)
          failure.withLock { $0 = $0 ?? error }
        }
      }
    }
    if let error = failure.withLock({ $0 }) { throw error }
  }

  private func writeArm(
    session: Int, subject: Int, below root: String, _ text: inout RecordingText
  ) throws(SynthesisError) {
    let directory = "\(root)/Session\(session)/session\(session)_subject_\(subject)"
    guard makeDirectories(directory) else {
      throw .writeFailed(path: directory, reason: reasonOfLastFailure())
    }
    let signal = signal(subject: subject, session: session)
    for gesture in 0..<gestures {
      for trial in 1...trials {
        text.set(frames(of: signal, subject, session, gesture, trial))
        let name = "gesture\(twoDigits(gesture))_trial\(twoDigits(trial)).csv"
        try text.write(to: directory + "/" + name)
      }
    }
  }

  private func twoDigits(_ number: Int) -> String { number < 10 ? "0\(number)" : "\(number)" }
}

/// Makes a directory and those above it; false where the system refuses, `errno` says why.
func makeDirectories(_ path: String) -> Bool {
  if mkdir(path, 0o755) == 0 || errno == EEXIST { return true }
  guard errno == ENOENT, let slash = path.lastIndex(of: "/"), slash > path.startIndex,
    makeDirectories(String(path[..<slash]))
  else { return false }
  return mkdir(path, 0o755) == 0 || errno == EEXIST
}

/// Why no recordings could be made.
public enum SynthesisError: Error, Equatable, Sendable {
  case outOfRange(option: String, found: String, expected: String)
  case notEmpty(path: String)
  case cannotCreate(path: String, reason: String)
  case writeFailed(path: String, reason: String)

  public var kind: FaultKind {
    switch self {
    case .outOfRange: .contradiction
    case .notEmpty, .cannotCreate: .cannotCreate
    case .writeFailed: .writeFailed
    }
  }
}

extension SynthesisError: CustomStringConvertible {
  public var description: String {
    switch self {
    case .outOfRange(let option, let found, let expected):
      "--\(option): found \(found), expected \(expected)"
    case .notEmpty(let path):
      "\(path): found something there already, expected a new or an empty directory; "
        + "nothing is overwritten, so name another"
    case .cannotCreate(let path, let reason):
      "\(path): cannot be created: \(reason)"
    case .writeFailed(let path, let reason):
      "\(path): a write failed: \(reason); nothing was left behind"
    }
  }
}
