import ArgumentParser
import Artifacts
import Foundation
import Recordings

/// Readers of option values. Each takes what was typed and gives the value, or says in a sentence
/// what was expected; the parser puts the option's name before it.
enum OptionValue {
  /// A whole number of `range`.
  static func number(_ range: ClosedRange<Int>) -> @Sendable (String) throws -> Int {
    { text in
      guard let value = Int(text), range.contains(value) else {
        throw ValidationError(
          range.upperBound == .max
            ? "expected a whole number, \(range.lowerBound) or more"
            : "expected a whole number from \(range.lowerBound) to \(range.upperBound)")
      }
      return value
    }
  }

  /// A finite number as people write it, such as 0.5 or 1e-3; nil for anything else. Swift reads
  /// more: `0x10`, `inf`, `nan`, and `1e999` as infinite.
  static func decimal(_ text: String) -> Double? {
    guard text.wholeMatch(of: /[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?/) != nil,
      let value = Double(text), value.isFinite
    else { return nil }
    return value
  }

  /// Without white space at either end.
  private static func trimmed(_ text: Substring) -> String {
    String(text.drop(while: \.isWhitespace).reversed().drop(while: \.isWhitespace).reversed())
  }

  /// A number above zero.
  @Sendable static func positive(_ text: String) throws -> Double {
    guard let value = decimal(text), value > 0 else {
      throw ValidationError("expected a decimal number above 0")
    }
    return value
  }

  /// Sixty-four bits.
  @Sendable static func seed(_ text: String) throws -> UInt64 {
    guard let value = UInt64(text) else {
      throw ValidationError("expected a whole number from 0 to \(UInt64.max)")
    }
    return value
  }

  /// `1,2,3`: whole numbers, none twice.
  @Sendable static func numbers(_ text: String) throws -> Set<Int> {
    let items = text.split(separator: ",", omittingEmptySubsequences: false)
    let values = items.compactMap { Int(trimmed($0)) }
    let set = Set(values)
    guard values.count == items.count, set.count == items.count, !values.contains(where: { $0 < 0 })
    else { throw ValidationError("expected whole numbers such as 1,2, none twice") }
    return set
  }

  /// `1,1.5`: weights of the models in an ensemble, each 0 or of a usual size, and not all 0.
  @Sendable static func ensembleWeights(_ text: String) throws -> [Double] {
    let values = try weights(text)
    guard values.allSatisfy({ $0 == 0 || Preprocessing.ensembleWeightRange.contains($0) }) else {
      throw ValidationError("expected decimal numbers from 1e-6 to 1e6, or 0, such as 1,1.5")
    }
    return values
  }

  /// `1,1.5`: numbers, none below zero and not all zero.
  @Sendable static func weights(_ text: String) throws -> [Double] {
    let items = text.split(separator: ",", omittingEmptySubsequences: false)
    let values = items.compactMap { decimal(trimmed($0)) }
    guard values.count == items.count, values.allSatisfy({ $0 >= 0 }),
      values.contains(where: { $0 > 0 })
    else {
      throw ValidationError("expected decimal numbers such as 1,1.5, none below 0 and not all 0")
    }
    return values
  }

  /// `1,1.5`: numbers above zero.
  @Sendable static func positives(_ text: String) throws -> [Double] {
    let values = try weights(text)
    guard !values.contains(0) else {
      throw ValidationError("expected decimal numbers above 0 such as 1,1.5")
    }
    return values
  }

  /// Beyond a millionth or a million, gradients leave the range in which the processor is quick and
  /// single precision exact.
  private static let classWeightRange = 1e-6...1e6

  /// `1,1.5`: numbers of a usual size.
  @Sendable static func classWeights(_ text: String) throws -> [Double] {
    let values = try positives(text)
    guard values.allSatisfy(classWeightRange.contains) else {
      throw ValidationError("expected decimal numbers from 1e-6 to 1e6 such as 1,1.5")
    }
    return values
  }

  /// Columns such as `1-8`.
  @Sendable static func channels(_ text: String) throws -> ChannelSelection {
    guard let channels = ChannelSelection(text) else {
      throw ValidationError("expected columns such as 1-8 or 1,3,5-7, from 1 to 4096, none twice")
    }
    return channels
  }

  /// One of the cases of `Value`.
  @Sendable static func choice<Value: CaseIterable & RawRepresentable<String>>(
    _ text: String
  ) throws -> Value {
    guard let value = Value(rawValue: text) else {
      throw ValidationError(expectation(text, names: Value.names))
    }
    return value
  }

  /// What stands between commas, without white space around it.
  static func items(of text: String) -> [String] {
    text.split(separator: ",", omittingEmptySubsequences: false).map(trimmed)
  }

  /// `inception-se,my-net`: names, none empty and none twice.
  @Sendable static func names(_ text: String) throws -> [String] {
    let names = items(of: text)
    guard !names.contains(""), Set(names).count == names.count else {
      throw ValidationError("expected names such as inception-se,semg-net, none twice")
    }
    return names
  }

  /// "expected one of a, b or c", and which one may have been meant.
  static func expectation(_ text: String, names: [String]) -> String {
    let list = names.dropLast().joined(separator: ", ") + " or " + (names.last ?? "")
    return "expected \(list)" + didYouMean(Suggestions.nearest(to: text, among: names))
  }
}

extension CaseIterable where Self: RawRepresentable<String> {
  static var names: [String] { allCases.map(\.rawValue) }
}

/// What `--device` asks for.
enum DeviceChoice: Equatable, Sendable {
  case auto
  case cpu
  /// The best OpenCL device, or the one on that line of `semg-train devices`.
  case gpu(Int?)

  @Sendable static func parse(_ text: String) throws -> DeviceChoice {
    switch text {
    case "auto": return .auto
    case "cpu": return .cpu
    case "gpu": return .gpu(nil)
    default:
      if text.hasPrefix("gpu:"), let index = Int(text.dropFirst(4)), index >= 0 {
        return .gpu(index)
      }
      if ["cuda", "opencl", "rocm", "metal"].contains(text.lowercased()) {
        throw ValidationError("expected auto, cpu, gpu or gpu:N" + didYouMean("gpu"))
      }
      let near = Suggestions.nearest(to: text, among: ["auto", "cpu", "gpu"])
      throw ValidationError("expected auto, cpu, gpu or gpu:N" + didYouMean(near))
    }
  }
}

/// The arithmetic that `--precision` asks for.
enum PrecisionChoice: String, CaseIterable, Sendable {
  case auto, fp32, fp16
}

/// The frequency that `--notch` takes out.
enum Notch: Equatable, Sendable {
  case off
  case hertz(Double)

  @Sendable static func parse(_ text: String) throws -> Notch {
    if text == "off" { return .off }
    guard let value = OptionValue.decimal(text), value > 0 else {
      throw ValidationError("expected a frequency in hertz such as 50 or 60, or off")
    }
    return .hertz(value)
  }
}

/// The recordings that `evaluate --part` reads.
enum EvaluatedPart: String, CaseIterable, Sendable {
  case test, validation, train, all

  /// The parts it stands for.
  var parts: Set<Part> {
    switch self {
    case .test: [.test]
    case .validation: [.validation]
    case .train: [.train]
    case .all: Set(Part.allCases)
    }
  }
}
