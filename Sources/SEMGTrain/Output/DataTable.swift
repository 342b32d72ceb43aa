import Compute
import ComputeOpenCL
import Foundation
import Recordings
import SignalPreparation
import Training

extension TrainSettings {
  /// What is trained on what, and how much memory it takes, before it begins.
  ///
  /// - Throws: `DeviceError.outOfMemory` where there is less than that, with the batch size that
  ///   fits.
  func explain(
    _ data: PreparedRecordings, device: any Device, on console: Console
  ) throws {
    console.note(Self.table(data))
    let memory = TrainingMemory(of: data, settings: run, on: device)
    let training = memory.byteCount
    // A device with memory of its own says in time where that is short.
    let hasOwnMemory = (device as? OpenCLDevice)?.description.sharesHostMemory == false
    func bytes(_ memory: TrainingMemory) -> Int {
      memory.hostByteCount + (hasOwnMemory ? 0 : memory.byteCount)
    }
    let needed = Self.programBytes + data.samples.count * MemoryLayout<Float>.size + bytes(memory)
    let aside = hasOwnMemory ? ", \(Figure.bytes(training)) on the device" : ""
    let band = preparation.filter.bandHertz
    console.note(
      "band \(Figure.fixed(band.lowerBound, 1))–\(Figure.fixed(band.upperBound, 1)) Hz, windows of "
        + "\(data.windowLength) samples; about \(Figure.bytes(needed)) of memory\(aside)")
    if memory.trainsAtOnce {
      let names = run.models.map(\.name).joined(separator: " and ")
      console.note("\(names) train at the same time")
    }
    // What the program and the recordings take is taken already.
    let room = MemoryRoom.now(reserved: ThreadRoom.stackBytes * (self.device.threads + 3))
    let limit = room.byteCount - Self.spareBytes
    guard bytes(memory) > limit else { return }
    let fitting = TrainingMemory.batchSize(
      fitting: limit, of: data, settings: run, on: device, counting: bytes)
    let advice =
      fitting.map { "--batch-size \($0) fits" } ?? "no --batch-size fits; train on fewer recordings"
    throw DeviceError.outOfMemory(
      device: "training", bytes: bytes(memory), advice: "\(room); \(advice)")
  }

  /// Of the program and its libraries.
  private static let programBytes = 64_000_000
  /// Left free: for what libraries take by themselves.
  private static let spareBytes = 24_000_000

  /// Which gestures count how much in the loss, where they do not count the same.
  func explainWeights(gestures: [Int], on console: Console) {
    if run.classWeights == nil, gestures.count == RunSettings.publishedWeights.count,
      !run.takesPublishedWeights(gestures: gestures)
    {
      console.note(
        "class weights: all 1; the published ones are for the gestures 0 to 4 and not applied")
    }
    guard let weights = run.lossWeights(gestures: gestures), Set(weights).count > 1 else { return }
    let list = zip(gestures, weights).map { "gesture \($0) \(Figure.plain(Double($1)))" }
    let why =
      run.takesPublishedWeights(gestures: gestures)
      ? ", the published ones; equal ones: --class-weights "
        + gestures.map { _ in "1" }.joined(separator: ",") : ""
    console.note("class weights: " + shortList(list) + why)
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
