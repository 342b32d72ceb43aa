import Foundation
import Recordings
import SignalPreparation
import SignalProcessing
import Training

/// Reads, filters and standardizes the recordings below a directory once, as `semg-train train`
/// does, and prints one JSON object: what `compare.py` sets beside polars and SciPy.
@main struct Ingest {
  struct Result: Encodable {
    var seconds: Double
    var recordings: Int
    var windows: Int
    var mean: [Double]
    var deviation: [Double]
    /// Every n-th row, about a thousand of them.
    var picked: [Float]
  }

  static func main() throws {
    guard CommandLine.arguments.count == 3, let threads = Int(CommandLine.arguments[2]) else {
      FileHandle.standardError.write(Data("usage: ingest DATA_DIRECTORY THREADS\n".utf8))
      exit(64)
    }
    let start = ContinuousClock.now
    let set = try RecordingSet(directory: CommandLine.arguments[1])
    let split = try Split(set.descriptors, seed: 42)
    let preparation = try Preparation(threads: threads)
    let prepared = try preparation.prepare(
      set.descriptors, split: split, statistics: .filteredTraining, problems: set.problems)
    let seconds = (ContinuousClock.now - start) / .seconds(1)

    let rows = prepared.samples.count / prepared.channels
    let picked = stride(from: 0, to: rows, by: max(1, rows / 1000)).flatMap {
      prepared.samples[$0 * prepared.channels..<($0 + 1) * prepared.channels]
    }
    let result = Result(
      seconds: seconds, recordings: prepared.recordings.count,
      windows: prepared.windowStarts.count, mean: prepared.standardization.mean,
      deviation: prepared.standardization.deviation, picked: picked)
    FileHandle.standardOutput.write(try JSONEncoder().encode(result) + Data("\n".utf8))
  }
}
