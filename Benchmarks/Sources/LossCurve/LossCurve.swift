import Artifacts
import Compute
import ComputeCPU
import Foundation
import Networks
import Training

/// Trains on weights and batches that Python wrote, dropout and noise off, and writes the losses
/// beside them: see `keras/losses.py` for the files.
///
/// usage: loss-curve FOLDER
@main
struct LossCurve {
  /// `settings.json`.
  struct Settings: Decodable {
    var steps, batch, window, channels, classes, firstDecaySteps: Int
    var classWeights: [Float]
  }
  struct Failure: Error { var what: String }

  static func main() throws {
    HDF5Child.runIfRequested(CommandLine.arguments)
    guard CommandLine.arguments.count == 2 else { throw Failure(what: "usage: loss-curve FOLDER") }
    let folder = URL(filePath: CommandLine.arguments[1], directoryHint: .isDirectory)
    let decoder = JSONDecoder()
    decoder.keyDecodingStrategy = .convertFromSnakeCase
    let settings = try decoder.decode(
      Settings.self, from: Data(contentsOf: folder.appending(path: "settings.json")))
    let losses = try losses(settings, in: folder)
    try JSONEncoder().encode(["losses": losses])
      .write(to: folder.appending(path: "ours.json"), options: .atomic)
  }

  static func losses(_ settings: Settings, in folder: URL) throws -> [Double] {
    let sampleSize = settings.window * settings.channels
    let count = settings.steps * settings.batch
    let x = try floats(folder.appending(path: "x.f32"), count: count * sampleSize)
    let y = try floats(folder.appending(path: "y.f32"), count: count * settings.classes)
    let archive = try KerasArchive.read(folder.appending(path: "initial.keras").path)

    let network = NetworkPlan(
      archive.network,
      options: NetworkPlanOptions(
        batchCapacity: settings.batch, regularizes: false, gathers: false))
    let loaded = try CPUDevice(threads: 2).load(
      network.plan,
      options: LoadOptions(
        programs: [.forwardBackward, .update],
        liveBatches: [.forwardBackward: [settings.batch]]))
    for (tensor, values) in zip(network.weights, archive.weights.values) {
      try loaded.write(values, to: tensor)
    }
    // The program takes its batches from here, not from a dataset: one window stands for all.
    let dataset = try loaded.upload(
      Dataset(
        samples: [Float](repeating: 0, count: sampleSize), channels: settings.channels,
        windowStarts: [0], labels: [0]))
    let schedule = LearningRateSchedule(firstPeriod: settings.firstDecaySteps)
    try loaded.upload(
      EpochTable(
        dataset: dataset, samples: Array(repeating: SampleEntry(window: 0), count: count),
        learningRates: (0..<settings.steps).map { Float(schedule[$0]) }),
      for: .forwardBackward)

    for step in 0..<settings.steps {
      let targets = slice(y, step, settings.batch * settings.classes)
      try loaded.write(slice(x, step, settings.batch * sampleSize), to: network.training.batch)
      if let port = network.training.targets { try loaded.write(targets, to: port) }
      if let port = network.training.sampleWeights {
        try loaded.write(weights(of: targets, by: settings.classWeights), to: port)
      }
      try loaded.run(.forwardBackward, step: step, live: settings.batch)
      try loaded.run(.update, step: step, live: settings.batch)
    }
    return try loaded.results(of: .forwardBackward, steps: 0..<settings.steps)
      .map { Double($0.loss) + Double($0.penalty) }
  }

  /// The sum of each sample's targets times their classes' weights.
  static func weights(of targets: [Float], by classWeights: [Float]) -> [Float] {
    stride(from: 0, to: targets.count, by: classWeights.count).map { start in
      classWeights.indices.reduce(0) { $0 + targets[start + $1] * classWeights[$1] }
    }
  }

  static func slice(_ values: [Float], _ index: Int, _ count: Int) -> [Float] {
    Array(values[index * count..<(index + 1) * count])
  }

  /// Little-endian floats, as this machine has them.
  static func floats(_ file: URL, count: Int) throws -> [Float] {
    let data = try Data(contentsOf: file, options: .alwaysMapped)
    guard data.count == 4 * count else {
      throw Failure(what: "\(file.path): \(data.count) bytes, expected \(4 * count)")
    }
    return data.withUnsafeBytes { Array($0.bindMemory(to: Float.self)) }
  }
}
