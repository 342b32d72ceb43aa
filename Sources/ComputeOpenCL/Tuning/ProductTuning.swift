import Compute
import Foundation

/// Chooses the tiles of a device's products by timing each where it is used, in training steps of
/// the plans: only among those with which every launch agrees with the generic kernels. Those of
/// ordinary kernels in single precision, those of tensor cores, where there are any, in half.
public struct ProductTuning {
  /// A plan twice: with the batch that is to be fast, and with a small one that is compared. Its
  /// training program takes its batch from the host.
  public struct Subject {
    public var timed, compared: Plan

    public init(timed: Plan, compared: Plan) {
      self.timed = timed
      self.compared = compared
    }
  }

  /// A product and the tile it gets.
  public struct Choice: Sendable, Hashable {
    public let product: String
    /// Rows, columns, and rows an item or warps down and across.
    public let tile, usualTile: String
    /// A step.
    public let milliseconds, usualMilliseconds: Double
  }

  /// A tile that a kernel does not get, whatever its speed.
  public struct Rejection: Sendable, Hashable {
    public let tile, kernel, reason: String
  }

  public struct Report: Sendable {
    public fileprivate(set) var choices: [Choice] = []
    public fileprivate(set) var rejections: [Rejection] = []
    fileprivate var tiles: [String: [Int]] = [:]
  }

  private static let program = ProgramID.forwardBackward
  private static let runs = 5
  /// A tile must be so much faster than the usual one to take its place.
  private static let gain = 0.98

  private let description: OpenCLDeviceDescription
  private let tensorCores: OpenCLDevice.TensorCoreUse
  /// Where findings are kept; nil keeps none.
  private let directory: URL?

  public init(_ description: OpenCLDeviceDescription) {
    self.init(description, tensorCores: .probed, directory: TileFile.directory)
  }

  init(
    _ description: OpenCLDeviceDescription, tensorCores: OpenCLDevice.TensorCoreUse,
    directory: URL? = nil
  ) {
    self.description = description
    self.tensorCores = tensorCores
    self.directory = directory
  }

  /// After each tile, what is best so far is stored, and what became of the tile: a run that ended
  /// early is gone on with, without the tile in which the process ended.
  ///
  /// - Parameter willTry: told of each tile before it is tried, or of the usual ones.
  /// - Throws: `DeviceError` where the device fails with the usual tiles.
  public func run(
    _ subjects: [Subject], willTry: (String) -> Void = { _ in }
  ) throws(DeviceError) -> Report {
    var report = Report()
    try choose(among: ProductTile.candidates, for: subjects, report: &report, willTry: willTry)
    if try device(nil as TensorCoreTile?).tensorCoreDefines != nil {
      try choose(
        among: TensorCoreTile.candidates, for: subjects, report: &report,
        willTry: { willTry("tensor cores, \($0)") })
    }
    var journal = TuningJournal(directory: directory, description: description)
    journal.remove()
    return report
  }

  func choose<Tile: TunableTile>(
    among candidates: [Tile], for subjects: [Subject], report: inout Report,
    willTry: (String) -> Void = { _ in }
  ) throws(DeviceError) {
    var journal = TuningJournal(directory: directory, description: description)
    willTry("usual")
    let usual: [ProductKey: Time<Tile>] = try times(subjects, tile: nil)
    var best = usual.mapValues { ($0.seconds * Self.gain, $0) }
    for tile in candidates {
      let name = tile.description
      if let reason = tile.misfit(on: description, limit: description.maximumWorkGroup) {
        report.rejections.append(Rejection(tile: name, kernel: "all", reason: reason))
        continue
      }
      let known = journal.trial(of: name, on: Array(usual.keys))
      if known == nil {
        willTry(name)
        journal.begin(name)
      }
      let trial = known ?? self.trial(of: tile, subjects)
      journal.end(name, trial)
      report.rejections += trial.rejections(of: name)
      for key in usual.keys {
        guard trial.faults[key.kernel] == nil, let seconds = trial.seconds[key.text],
          seconds < best[key]?.0 ?? 0
        else { continue }
        best[key] = (seconds, Time(tile: tile, seconds: seconds))
      }
      // Told again, should it fail, when the whole report is stored.
      let tiles = best.map { ($0.key.text, $0.value.1.tile.sizes) }
      try? file?.add(Dictionary(tiles) { $1 })
    }
    for (key, time) in usual.sorted(by: { $0.value.seconds > $1.value.seconds }) {
      guard let (_, chosen) = best[key] else { continue }
      report.tiles[key.text] = chosen.tile.sizes
      report.choices.append(
        Choice(
          product: key.text, tile: chosen.tile.description, usualTile: time.tile.description,
          milliseconds: 1000 * chosen.seconds, usualMilliseconds: 1000 * time.seconds))
    }
  }

  private var file: TileFile? {
    directory.map { TileFile(directory: $0, description: description) }
  }

  /// Keeps the tiles for later runs on this device.
  ///
  /// - Returns: the file; nil where `SEMG_OPENCL_CACHE=0` says that nothing is to be kept, or there
  ///   is no home.
  /// - Throws: where it cannot be written.
  public func store(_ report: Report) throws -> URL? {
    try file?.add(report.tiles)
    return file?.url
  }

  // MARK: One tile

  private struct Time<Tile: TunableTile> {
    var tile: Tile
    var seconds: Double
  }

  private func trial<Tile: TunableTile>(of tile: Tile, _ subjects: [Subject]) -> TuningJournal.Trial
  {
    var trial = TuningJournal.Trial()
    do throws(DeviceError) {
      trial.faults = try faults(subjects, tile: tile)
      for (key, time) in try times(subjects, tile: tile) where time.tile == tile {
        trial.seconds[key.text] = time.seconds
      }
    } catch {
      trial.failure = "\(error)"
    }
    return trial
  }

  private func device<Tile: TunableTile>(_ tile: Tile?) throws(DeviceError) -> OpenCLDevice {
    var options = Tile.options(forcing: tile)
    options.usesTuning = false
    options.tensorCores = tensorCores
    return try OpenCLDevice(description, options: options)
  }

  /// Of each product, the shortest of a few steps; equal products of a step count together.
  private func times<Tile: TunableTile>(
    _ subjects: [Subject], tile: Tile?
  ) throws(DeviceError) -> [ProductKey: Time<Tile>] {
    let device = try device(tile)
    let stopwatch = try CommandStopwatch(context: device.context)
    var result: [ProductKey: Time<Tile>] = [:]
    for subject in subjects {
      guard let program = subject.timed.programs[Self.program] else { continue }
      let loaded = try load(subject.timed, on: device, fuses: true, keepsActivations: false)
      let products = loaded.commands(of: Self.program).map { $0.map(\.product) }
      var best: [ProductKey: Double] = [:]
      for run in 0...Self.runs {
        let times = try loaded.seconds(
          of: Self.program, live: program.capacity, on: stopwatch)
        guard run > 0 else { continue }
        var sums: [ProductKey: Double] = [:]
        for (key, seconds) in zip(products.joined(), times.joined()) {
          if let key, Tile.cuts(key) { sums[key, default: 0] += seconds }
        }
        best.merge(sums) { min($0, $1) }
      }
      for (key, seconds) in best {
        let known = result[key]?.seconds ?? 0
        result[key] = Time(tile: Tile.chosen(for: key, by: device), seconds: known + seconds)
      }
    }
    return result
  }

  /// Kernels that do not agree with the generic build, launch by launch, and how.
  private func faults<Tile: TunableTile>(
    _ subjects: [Subject], tile: Tile
  ) throws(DeviceError) -> [String: String] {
    let generic = try OpenCLDevice(
      description, options: OpenCLDevice.Options(usesCLBlast: false, specializes: false))
    let device = try device(tile)
    var faults: [String: String] = [:]
    for subject in subjects {
      guard let program = subject.compared.programs[Self.program] else { continue }
      let candidate = try load(subject.compared, on: device, fuses: true)
      let report = try compare(
        reference: load(subject.compared, on: generic, fuses: false), candidate: candidate,
        program: Self.program, step: 0, live: program.capacity)
      for (launch, commands) in zip(report, candidate.commands(of: Self.program)) {
        guard let failure = launch.failures.first else { continue }
        for case let key? in commands.map(\.product) where Tile.cuts(key) {
          faults[key.kernel] = "\(failure)"
        }
      }
    }
    return faults
  }

  private func load(
    _ plan: Plan, on device: OpenCLDevice, fuses: Bool, keepsActivations: Bool = true
  ) throws(DeviceError) -> OpenCLLoadedPlan {
    let capacity = plan.programs[Self.program]?.capacity ?? 1
    let loaded = try OpenCLLoadedPlan.make(
      plan,
      options: LoadOptions(
        programs: [Self.program], liveBatches: [Self.program: [capacity]], fuses: fuses,
        keepsActivations: keepsActivations), device: device)
    var state: UInt64 = 0x9E37_79B9_7F4A_7C15
    func noise(_ count: Int, scale: Float) -> [Float] {
      (0..<count).map { _ in
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        return (Float(state >> 40) / Float(1 << 23) - 1) * scale
      }
    }
    for id in plan.tensors(role: .parameter) {
      try loaded.write(noise(plan[id].elementCount, scale: 0.1), to: id)
    }
    for id in plan.tensors(role: .statistic) {
      try loaded.write(Array(repeating: Float(1), count: plan[id].elementCount), to: id)
    }
    for id in plan.programs[Self.program]?.inputs ?? [] {
      try loaded.write(noise(plan[id].elementCount, scale: 1).map(abs), to: id)
    }
    return loaded
  }
}

extension TuningJournal.Trial {
  fileprivate func rejections(of tile: String) -> [ProductTuning.Rejection] {
    failure.map { [.init(tile: tile, kernel: "all", reason: $0)] }
      ?? faults.sorted { $0.key < $1.key }.map {
        .init(tile: tile, kernel: $0.key, reason: $0.value)
      }
  }
}

extension Command {
  fileprivate var product: ProductKey? {
    if case .kernel(let call) = self { call.product } else { nil }
  }
}
