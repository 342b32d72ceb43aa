import Foundation
import Networks
import Testing

@testable import Artifacts

/// Thousands of archives with flipped bytes and cut ends: each is read whole or refused for its
/// content; nothing of ours crashes, hangs or answers otherwise. Half of them are damaged within
/// and zipped again with right checksums, so that the damage reaches HDF5 and the JSON.
@Suite struct FuzzTests {
  /// Some 95 seconds of processor time in a release build; a bare `swift test` runs the first few.
  static let cases: Int = {
    #if DEBUG
      ProcessInfo.processInfo.environment["SEMG_ALL_TESTS"] == "1" ? 4_000 : 240
    #else
      4_000
    #endif
  }()
  static let workers = 4

  /// xorshift64*: the same cases every time.
  struct Generator: RandomNumberGenerator {
    var state: UInt64
    init(seed: UInt64) { state = seed &* 0x9e37_79b9_7f4a_7c15 | 1 }
    mutating func next() -> UInt64 {
      state ^= state >> 12
      state ^= state << 25
      state ^= state >> 27
      return state &* 0x2545_f491_4f6c_dd1d
    }
  }

  struct Tally: Sendable {
    var read = 0
    var refused = 0
    var crashed = 0
    var wrong: [String] = []
  }

  @Test(arguments: 0..<workers) func damagedArchivesAreReadOrRefused(worker: Int) throws {
    let sources = try [
      Parts(version: "3.5.0", "inception"), Parts(version: "3.15.1", "semg"), ownArchive(),
    ]
    let packed = try sources.map { try $0.archive() }
    var tally = Tally()
    for number in stride(from: worker, to: Self.cases, by: Self.workers) {
      var generator = Generator(seed: UInt64(number))
      let source = Int.random(in: 0..<sources.count, using: &generator)
      let data: Data
      if (number / Self.workers) % 2 == 0 {
        data = damaged(packed[source], using: &generator)
      } else {
        var parts = sources[source]
        parts.weights = damaged(parts.weights, using: &generator)
        data = try parts.archive()
      }
      judge(data, "case \(number)", &tally)
    }
    #expect(tally.wrong == [])
    #expect(tally.refused > Self.cases / Self.workers / 4, "\(tally)")
    #expect(tally.read > 0, "\(tally)")
    print(
      "fuzz worker \(worker): \(tally.read) read, \(tally.refused) refused, "
        + "of which \(tally.crashed) by the reader's crash or limits")
  }

  /// The configuration's own text, damaged so that it mostly stays JSON.
  @Test func damagedConfigurationsAreReadOrRefused() throws {
    let parts = try Parts(version: "3.15.1", "inception")
    let text = [UInt8](try parts.config.encoded())
    var tally = Tally()
    for number in 0..<(Self.cases / 8) {
      var generator = Generator(seed: UInt64(1_000_000 + number))
      var changed = text
      for _ in 0..<Int.random(in: 1...3, using: &generator) {
        let index = Int.random(in: 0..<changed.count, using: &generator)
        let isDigit = (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(changed[index])
        changed[index] =
          isDigit
          ? UInt8.random(in: UInt8(ascii: "0")...UInt8(ascii: "9"), using: &generator)
          : UInt8.random(in: 32...126, using: &generator)
      }
      let archive = try ZipWriter.archive([
        ("config.json", Data(changed)), ("model.weights.h5", parts.weights),
      ])
      judge(archive, "configuration \(number)", &tally)
    }
    #expect(tally.wrong == [])
    #expect(tally.refused > 0 && tally.read > 0, "\(tally)")
  }

  private func ownArchive() throws -> Parts {
    let network = try Network.semgNet(time: 20, width: 2)
    return try Parts(
      KerasArchive.archive(
        network, weights: Fixture.weights(network), optimizer: nil,
        training: RoundTripTests.settings, path: "own", savedAt: Date(timeIntervalSince1970: 0)))
  }

  /// One to five flipped bytes, mostly where something stands, or a cut end, or both.
  private func damaged(_ data: Data, using generator: inout Generator) -> Data {
    var bytes = [UInt8](data)
    if Int.random(in: 0..<6, using: &generator) == 0 {
      bytes.removeLast(Int.random(in: 1..<bytes.count, using: &generator))
      if Bool.random(using: &generator) { return Data(bytes) }
    }
    for _ in 0..<Int.random(in: 1...5, using: &generator) {
      var index = Int.random(in: 0..<bytes.count, using: &generator)
      // HDF5 files are mostly zeros: look for a byte that says something.
      for _ in 0..<1_000 where bytes[index] == 0 {
        index = Int.random(in: 0..<bytes.count, using: &generator)
      }
      bytes[index] ^= UInt8.random(in: 1...255, using: &generator)
    }
    return Data(bytes)
  }

  private func judge(_ data: Data, _ name: String, _ tally: inout Tally) {
    var limits = ArchiveLimits()
    limits.seconds = 20
    do {
      let archive = try KerasArchive.read(data, path: "fuzz.keras", limits: limits)
      tally.read += 1
      for (weight, values) in zip(archive.network.weights, archive.weights.values)
      where values.count != weight.elementCount || !values.allSatisfy(\.isFinite) {
        tally.wrong.append("\(name): \(weight.name)")
      }
    } catch {
      tally.refused += 1
      if case .readerFailed = error { tally.crashed += 1 }
      if error.kind != .badContent { tally.wrong.append("\(name): \(error)") }
    }
  }
}
