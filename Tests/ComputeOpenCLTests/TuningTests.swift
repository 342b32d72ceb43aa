import Compute
import ComputeCases
import Foundation
import TestSupport
import Testing

@testable import ComputeOpenCL

/// What `semg-train tune` finds out about a device, and what becomes of it.
@Suite(.needsOpenCL) struct TuningTests {
  private static let tiles = [
    ProductTile(rows: 32, columns: 32, itemRows: 4),
    ProductTile(rows: 64, columns: 64, itemRows: 8),
  ]

  private var description: OpenCLDeviceDescription {
    get throws { try #require(TestDevice.all.first) }
  }

  private func withDirectory(_ body: (URL) throws -> Void) throws {
    let directory = try TemporaryDirectory()
    try body(URL(filePath: directory.path))
  }

  /// A convolution that tensor cores take, too: by itself, and before a batch normalization, whose
  /// statistics it leaves then.
  private func tuned<Tile: TunableTile>(
    _ candidates: [Tile], directory: URL? = nil, willTry: (String) -> Void = { _ in }
  ) throws -> ProductTuning.Report {
    let shape = Conv1DShape(time: 40, inputChannels: 8, outputChannels: 16, taps: 3)
    let plans = [
      OperationCase.conv1D(shape, capacity: 4, live: 4),
      .normBlock(time: 40, channels: 16, rate: nil, pool: nil, inputs: 8, capacity: 4, live: 4),
    ].map(\.plan)
    var report = ProductTuning.Report()
    try ProductTuning(try description, tensorCores: .emulated, directory: directory).choose(
      among: candidates, for: plans.map { ProductTuning.Subject(timed: $0, compared: $0) },
      report: &report, willTry: willTry)
    return report
  }

  private func expectChoices<Tile: TunableTile>(_ candidates: [Tile], usual: [Tile]) throws {
    let report = try tuned(candidates)
    #expect(report.rejections.isEmpty)
    // Forward, input gradient, kernel gradient.
    #expect(report.choices.count == 3)
    for choice in report.choices {
      #expect(usual.map(\.description).contains(choice.usualTile))
      #expect((usual + candidates).map(\.description).contains(choice.tile))
      #expect(choice.milliseconds > 0)
      #expect(choice.milliseconds <= choice.usualMilliseconds)
    }
  }

  @Test(.enabled(if: runsSlowTests, "long without optimization"))
  func everyProductOfAStepGetsATileThatComputesRightly() throws {
    try expectChoices(Self.tiles, usual: ProductTile.candidates)
  }

  @Test(.enabled(if: runsSlowTests, "long without optimization"))
  func everyTileOfTensorCoresComputesRightly() throws {
    try expectChoices(TensorCoreTile.candidates, usual: TensorCoreTile.choices.map(\.tile))
  }

  @Test(.enabled(if: runsSlowTests, "long without optimization"))
  func aTileThatTheKernelsAreNotWrittenForIsRejected() throws {
    // Six rows an item: no multiple of what a load takes.
    let odd = ProductTile(rows: 30, columns: 32, itemRows: 6)
    let report = try tuned([odd])
    #expect(!report.rejections.isEmpty)
    #expect(report.rejections.allSatisfy { $0.tile == odd.description })
    #expect(report.choices.allSatisfy { $0.tile == $0.usualTile })
  }

  @Test(.enabled(if: runsSlowTests, "long without optimization"))
  func aRunThatEndedEarlyIsGoneOnWith() throws {
    try withDirectory { directory in
      let (done, fatal, fresh) = (
        Self.tiles[0], Self.tiles[1], ProductTile(rows: 64, columns: 32, itemRows: 4)
      )
      let first = try tuned([done], directory: directory)
      // What was found until then is there for every run.
      let file = TileFile(directory: directory, description: try description)
      #expect(Set(file.tiles.keys) == Set(first.choices.map(\.product)))
      // As it is left where the process ends while a tile is tried.
      var journal = TuningJournal(directory: directory, description: try description)
      journal.begin(fatal.description)

      var tried: [String] = []
      let second = try tuned([done, fatal, fresh], directory: directory) { tried.append($0) }
      #expect(tried == ["usual", fresh.description])
      #expect(second.rejections.map(\.tile) == [fatal.description])
      #expect(second.rejections.first?.reason.contains("ended while it was tried") == true)
      #expect(second.choices.allSatisfy { $0.tile != fatal.description })

      // One that came to its end starts anew.
      journal = TuningJournal(directory: directory, description: try description)
      journal.remove()
      tried = []
      _ = try tuned([done], directory: directory) { tried.append($0) }
      #expect(tried == ["usual", done.description])
    }
  }

  @Test func tilesComeBackForTheirDeviceAlone() throws {
    try withDirectory { directory in
      let file = TileFile(directory: directory, description: try description)
      #expect(file.tiles.isEmpty)
      try file.add(["conv1d 1x1x1": [32, 32, 4]])
      try file.add(["conv1d 2x2x2": [64, 64, 8]])
      #expect(file.tiles == ["conv1d 1x1x1": [32, 32, 4], "conv1d 2x2x2": [64, 64, 8]])
      // As another driver would have left it.
      let text = try String(contentsOf: file.url, encoding: .utf8)
      let driver = "\"driver\" : \"\(try description.driver)"
      try #require(text.contains(driver))
      try text.replacing(driver, with: driver + ".1").write(
        to: file.url, atomically: true, encoding: .utf8)
      #expect(file.tiles.isEmpty)
    }
  }

  @Test func aDamagedFileAndOneOfOtherKernelsAreAsGoodAsNone() throws {
    try withDirectory { directory in
      let description = try description
      let file = TuningFile<[Int]>(
        directory: directory, description: description, kernels: ["pooling"])
      try file.write([1, 2])
      #expect(file.findings == [1, 2])
      let others = TuningFile<[Int]>(
        directory: directory, description: description, kernels: ["pooling", "adam"])
      #expect(others.url == file.url)
      #expect(others.findings == nil)
      let whole = try Data(contentsOf: file.url)
      for cut in [0, 1, whole.count / 2, whole.count - 1] {
        try whole.prefix(cut).write(to: file.url)
        #expect(file.findings == nil, "cut to \(cut) bytes")
      }
    }
  }

  @Test func halfPrecisionIsTakenOnlyWhereItIsFaster() {
    typealias Arithmetic = OpenCLDevice.Arithmetic
    func best(_ times: (Arithmetic, Double)...) -> Arithmetic? {
      PrecisionTimes(
        batchSize: 1, times: times.map { PrecisionTimes.Time($0.0, milliseconds: $0.1) }
      ).best?.arithmetic
    }
    let (single, half) = (Arithmetic(.fp32), Arithmetic(.fp16))
    let native = Arithmetic(.fp16, .native)
    #expect(best((single, 2), (half, 1)) == half)
    #expect(best((single, 2), (half, 2)) == single)
    #expect(best((single, 2), (half, 1.99)) == single)
    #expect(best((single, 2), (half, 3), (native, 1)) == native)
    #expect(best((single, 2)) == single)
    // Nothing to compare with.
    #expect(best((half, 1)) == nil)
    #expect(best() == nil)
  }
}
