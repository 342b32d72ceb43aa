import Artifacts
import ComputeReference
import Foundation
import Networks
import SignalProcessing
import TestSupport
import Testing

@testable import Training

/// What is read from a run's own files either is refused or leads to numbers.
@Suite struct SoundnessTests {
  private struct Generator: RandomNumberGenerator {
    var state: UInt64
    mutating func next() -> UInt64 {
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      return (state ^ state >> 29) &* 0x9e37_79b9_7f4a_7c15
    }
  }

  /// Numbers as a mishap leaves them.
  private static let numbers = [
    "0", "-1", "1e308", "-1e308", "1e-320", "1e-300", "1e400", "1e15", "0.5", "3", "255.9", "1e-7",
    "null", "\"x\"", "[]", "123456789", "1.5", "-0.0", "65536",
  ]

  /// Replaces one to three numbers of JSON text.
  private static func damaged(_ text: String, using generator: inout Generator) -> String {
    var text = text
    for _ in 0..<Int.random(in: 1...3, using: &generator) {
      let places = text.ranges(of: /-?[0-9]+(\.[0-9]+)?(e-?[0-9]+)?/)
      guard let place = places.randomElement(using: &generator) else { return text }
      text.replaceSubrange(place, with: numbers.randomElement(using: &generator) ?? "0")
    }
    return text
  }

  @Test func damagedPreprocessingIsRefusedOrLeadsToNumbers() throws {
    let folder = try TemporaryDirectory()
    let band = try RecordingFilter(sampleRate: 512).bandHertz
    let whole = Preprocessing(
      sampleRate: 512, channels: [1, 2],
      filter: .init(lowHertz: band.lowerBound, highHertz: band.upperBound, notchHertz: 50),
      windowLength: 204, windowStride: 81, mean: [0.25, -1], deviation: [0.125, 2],
      gestures: [0, 1, 2], recipe: "standard", ensembleWeights: ["semg-net": 1])
    let path = folder.file("preprocessing.json")
    try RunFile.write(json: whole, to: path)
    let text = try String(contentsOfFile: path, encoding: .utf8)
    let signal = (0..<1_200).map { sin(Double($0 * $0 % 97)) }
    var (read, refused) = (0, 0)
    for number in 0..<2_000 {
      var generator = Generator(state: UInt64(number))
      try Self.damaged(text, using: &generator).write(
        toFile: path, atomically: false, encoding: .utf8)
      guard let value = try? RunDirectory.preprocessing(for: folder.path) else {
        refused += 1
        continue
      }
      var settings = FilterSettings(
        lowHertz: value.filter.lowHertz, highHertz: value.filter.highHertz,
        notchHertz: value.filter.notchHertz)
      settings.notchQuality = value.filter.notchQuality ?? 30
      guard let filter = try? RecordingFilter(settings, sampleRate: value.sampleRate) else {
        refused += 1
        continue
      }
      read += 1
      var samples = try filter.filtered(signal, channels: 1).map(Float.init)
      let standardization = Standardization(mean: [value.mean[0]], deviation: [value.deviation[0]])
      samples.withUnsafeMutableBufferPointer { standardization.apply(to: $0) }
      #expect(samples.allSatisfy { $0.isFinite }, "case \(number): \(value)")
    }
    #expect(read > 100 && refused > 1_000, "\(read) read, \(refused) refused")
  }

  @Test func damagedMetricsAreRefusedOrAreShares() throws {
    let metrics = Metrics(
      probabilities: [0.9, 0.1, 0.2, 0.8, 0.7, 0.3, 0.6, 0.4], labels: [0, 1, 1, 0],
      recordings: [0, 1, 1, 0], subjects: [1, 1, 2, 2], gestures: [0, 3])
    let part = try PartReport(
      part: "test", of: toyWindows(count: 4), windows: [0, 1, 2, 3],
      members: [("semg-net", [0.9, 0.1, 0.2, 0.8, 0.7, 0.3, 0.6, 0.4])])
    let report = RunReport(
      test: part, validation: part, artifacts: [], models: [], seconds: 12.5,
      device: ReferenceDevice(), settings: RunSettings())
    #expect(report.contradiction == nil && metrics.contradiction(windows: 4) == nil)
    let text = String(decoding: try JSONEncoder().encode(report), as: UTF8.self)
    var (read, refused) = (0, 0)
    for number in 0..<2_000 {
      var generator = Generator(state: UInt64(number))
      let changed = Data(Self.damaged(text, using: &generator).utf8)
      guard let value = try? JSONDecoder().decode(RunReport.self, from: changed),
        value.contradiction == nil
      else {
        refused += 1
        continue
      }
      read += 1
      for metrics in [value.test.ensemble, value.validation.ensemble] + value.test.models.values {
        #expect((0...1).contains(metrics.accuracy) && (0...1).contains(metrics.macroF1))
      }
      #expect(throws: Never.self) { try JSONEncoder().encode(value) }
    }
    #expect(read > 20 && refused > 1_000, "\(read) read, \(refused) refused")
  }

  @Test func outputsThatAreNoProbabilitiesAreRefused() throws {
    let network = try Network.semgNet(time: 12, channels: 2, classes: 2, width: 2)
    var weights = NetworkWeights(initializing: network, seed: 1)
    let data = toyWindows()
    let windows = data.windows(of: .test)
    let loaded = try LoadedNetwork(
      network, on: ReferenceDevice(), options: .evaluation(windows: windows.count, batchSize: 4))
    try loaded.upload(data.dataset)
    func answers() throws -> [Float] {
      try loaded.write(weights)
      return try loaded.probabilities(of: windows)
    }
    #expect(try answers().count == 2 * windows.count)
    let variance = try #require(
      network.weights.firstIndex { $0.name.hasSuffix("moving_variance") })
    weights.values[variance][0] = -4
    let error = #expect(throws: PredictionError.self) { try answers() }
    #expect(
      error == .noProbabilities(network: network.name, windows: windows.count, of: windows.count))
    #expect(error?.description.contains("NaN") == true)
  }
}
