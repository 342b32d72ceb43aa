import Compute
import ComputeOpenCL
import Foundation
import Recordings
import Training

extension TrainSettings {
  /// What is trained on what, and how much memory it takes, before it begins.
  ///
  /// - Throws: `CommandFailure` (78) where this machine has less memory than that.
  func explain(
    _ data: PreparedRecordings, device: any Device, on console: Console
  ) throws {
    console.note(Self.table(data))
    let memory = TrainingMemory(of: data, settings: run, on: device)
    let training = memory.byteCount
    // A device with memory of its own says in time where that is short.
    let hasOwnMemory = (device as? OpenCLDevice)?.description.sharesHostMemory == false
    let needed = hostMemory(for: data) + (hasOwnMemory ? 0 : training)
    let aside = hasOwnMemory ? ", \(Figure.bytes(training)) on the device" : ""
    let band = preparation.filter.bandHertz
    console.note(
      "band \(Figure.fixed(band.lowerBound, 1))–\(Figure.fixed(band.upperBound, 1)) Hz, windows of "
        + "\(data.windowLength) samples; about \(Figure.bytes(needed)) of memory\(aside)")
    let present = Int(clamping: ProcessInfo.processInfo.physicalMemory)
    if memory.trainsAtOnce {
      let names = run.models.map(\.rawValue).joined(separator: " and ")
      console.note("\(names) train at the same time")
    }
    guard needed <= present else {
      throw CommandFailure(
        .contradiction,
        "training needs about \(Figure.bytes(needed)) of memory, this machine has "
          + "\(Figure.bytes(present)); choose a --batch-size smaller than \(run.batchSize)")
    }
  }

  /// Which gestures count how much in the loss, where they do not count the same.
  func explainWeights(gestures: [Int], on console: Console) {
    guard let weights = run.lossWeights(gestures: gestures), Set(weights).count > 1 else { return }
    let list = zip(gestures, weights).map { "gesture \($0) \(Figure.plain(Double($1)))" }
    let why =
      run.takesPublishedWeights(gestures: gestures)
      ? ", the published ones; equal ones: --class-weights "
        + gestures.map { _ in "1" }.joined(separator: ",") : ""
    console.note("class weights: " + Figure.list(list) + why)
  }

  /// Bytes of the program and its libraries, and of the recordings.
  private func hostMemory(for data: PreparedRecordings) -> Int {
    64_000_000 + data.samples.count * MemoryLayout<Float>.size
  }

  /// Parts and gestures: recordings, windows, subjects.
  static func table(_ data: PreparedRecordings) -> String {
    var table = TextTable(
      header: ["recordings/windows"] + data.classes.map { "gesture \($0)" } + ["all", "subjects"])
    for part in Part.allCases {
      let recordings = data.recordings.filter { $0.part == part }
      let cells = data.classes.indices.map { label in
        Self.cell(recordings.filter { $0.label == label })
      }
      let subjects = Set(recordings.compactMap(\.subject)).count
      table.append([part.rawValue] + cells + [Self.cell(recordings), "\(subjects)"])
    }
    return table.text(within: Console.errorColumns)
  }

  private static func cell(_ recordings: [PreparedRecording]) -> String {
    "\(recordings.count)/\(recordings.reduce(0) { $0 + $1.windows.count })"
  }
}
