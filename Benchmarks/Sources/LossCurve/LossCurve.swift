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

    let network = try LoadedNetwork(
      archive.network, on: CPUDevice(threads: 2),
      options: LoadedNetwork.Options(
        plan: NetworkPlanOptions(
          batchCapacity: settings.batch, regularizes: false, gathers: false),
        load: LoadOptions(
          programs: [.forwardBackward, .update],
          liveBatches: [.forwardBackward: [settings.batch]])))
    try network.write(archive.weights)
    // The program takes its batches from here, not from a dataset: one window stands for all.
    let dataset = try network.upload(
      Dataset(
        samples: [Float](repeating: 0, count: sampleSize), channels: settings.channels,
        windowStarts: [0], labels: [0]))
    let schedule = TrainingRecipe.published.schedule(firstPeriod: settings.firstDecaySteps)
    try network.begin(
      EpochTable(
        dataset: dataset, samples: Array(repeating: SampleEntry(window: 0), count: count),
        learningRates: (0..<settings.steps).map { Float(schedule[$0]) }))

    for step in 0..<settings.steps {
      let targets = slice(y, step, settings.batch * settings.classes)
      let (loaded, ports) = (network.loaded, network.plan.training)
      try loaded.write(slice(x, step, settings.batch * sampleSize), to: ports.batch)
      if let port = ports.targets { try loaded.write(targets, to: port) }
      if let port = ports.sampleWeights {
        try loaded.write(weights(of: targets, by: settings.classWeights), to: port)
      }
      try network.step(step, live: settings.batch)
    }
    return try network.results(of: 0..<settings.steps)
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
