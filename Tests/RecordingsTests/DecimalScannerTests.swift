import Foundation
import TestSupport
import Testing

@testable import Recordings

@Suite struct DecimalScannerTests {
  private let scanner = DecimalScanner()

  /// The value and how many bytes it took; nil where nothing was read.
  private func scan(_ text: String) -> (value: Double, length: Int)? {
    let bytes = Array(text.utf8) + [UInt8](repeating: 0, count: 32)
    return bytes.withUnsafeBufferPointer { buffer in
      guard let base = buffer.baseAddress else { return nil }
      var next = base
      var value = 0.0
      return scanner.scan(&next, into: &value) ? (value, next - base) : nil
    }
  }

  /// Reads `text` and compares its bits with those of the C library.
  private func expectAsStrtod(_ text: String, _ location: SourceLocation = #_sourceLocation) {
    guard let (value, length) = scan(text) else {
      Issue.record("\(text) was not read", sourceLocation: location)
      return
    }
    let isSame = value.bitPattern == strtod(text, nil).bitPattern && length == text.utf8.count
    #expect(isSame, "\(text) was read as \(value)", sourceLocation: location)
  }

  @Test(arguments: [
    "0", "-0", "+0.0", "-0.000000", "1", "-1.5", "+.5", "5.", "00012.50", "123456789012345678",
    "0.068153", "1e3", "1E-3", "-2.5e+10", "1e22", "1e23", "1e-22", "1e-23", "4.9e-324",
    "1e-400", "0e999999999999999999", "0.0e-23", "1.7976931348623157e308",
    "2.2250738585072011e-308",
    "9007199254740993", "9007199254740992.5",
    "0.500000000000000166533453693773481063544750213623046875",
    "9223372036854775808", "18446744073709551615", "18446744073709551616",
    "0.1000000000000000055511151231257827021181583404541015625", "1.2345678901234567890123e-5",
    "0.00000000000000000000000000012345678901234567", "3.518437208883201171875e13",
    "62.5364939768271845828", "8.10109172351e-10", "1.50000000000000011102230246251565",
  ])
  func awkwardNumbersRoundAsTheCLibraryDoes(text: String) { expectAsStrtod(text) }

  @Test func randomNumbersOfEveryLengthRoundAsTheCLibraryDoes() {
    var random = SeededGenerator(seed: 7)
    for _ in 0..<60_000 {
      let digits = Int.random(in: 1...24, using: &random)
      var text = (0..<digits).map { _ in String(Int.random(in: 0...9, using: &random)) }.joined()
      let point = Int.random(in: 0...digits, using: &random)
      text.insert(".", at: text.index(text.startIndex, offsetBy: point))
      if Bool.random(using: &random) { text = "-" + text }
      if Int.random(in: 0...3, using: &random) == 0 {
        text += "e" + String(Int.random(in: -40...40, using: &random))
      }
      expectAsStrtod(text)
    }
  }

  @Test func numbersWithSeventeenDigitsRoundAsTheCLibraryDoes() {
    var random = SeededGenerator(seed: 8)
    for _ in 0..<60_000 {
      let tail = UInt64.random(in: 0..<1_000_000_000_000, using: &random)
      let head = Int.random(in: 0..<300_000, using: &random)
      expectAsStrtod(String(format: "-0.%06d%012llu", head, tail))
    }
  }

  /// Numbers half-way between two doubles, and one unit of the last place to either side: what a
  /// conversion that rounds by an estimate gets wrong.
  @Test func halfwayNumbersRoundAsTheCLibraryDoes() {
    var random = SeededGenerator(seed: 9)
    for _ in 0..<20_000 {
      // (2^53 + 2j + 1) / 2^k has 54 bits and, for k ≤ 7, at most 19 digits in all.
      let odd = (UInt64(1) << 53) + (random.next() >> 12) * 2 % (1 << 53) + 1
      let k = Int.random(in: 1...3, using: &random)
      let five = [1, 5, 25, 125][k]
      let (scaled, overflow) = odd.multipliedReportingOverflow(by: UInt64(five))
      guard !overflow else { continue }
      for neighbour in [scaled - 1, scaled, scaled + 1] {
        expectAsStrtod("\(neighbour)e-\(k)")
      }
    }
  }

  @Test func shortestAndLongFormsReturnTheSameNumber() {
    var random = SeededGenerator(seed: 10)
    for _ in 0..<20_000 {
      let value = Double.random(in: -1...1, using: &random)
      #expect(scan("\(value)")?.value == value)
      #expect(scan(String(format: "%.17g", value))?.value == value)
      #expect(scan(String(format: "%.18e", value))?.value == value)
    }
  }

  @Test(arguments: [
    "", "-", "+", ".", "-.", "e5", "1e", "1e+", "1.5e-", "nan", "inf", "-inf", "abc", " 1", "--1",
    "1e309", "-1e400", "123456789012345678901234567890e300",
  ])
  func whatIsNoFiniteNumberIsNotRead(text: String) {
    #expect(scan(text) == nil)
  }

  @Test func readingStopsBehindTheNumber() {
    for (text, length) in [("1,2", 1), ("0.5 ", 3), ("-1.25\r\n", 5), ("1.2.3", 3), ("0x10", 1)] {
      #expect(scan(text)?.length == length)
    }
  }
}
