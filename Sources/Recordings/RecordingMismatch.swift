import Foundation

/// How a recording is not what the others are, or not what a model was trained on. Columns count
/// from 1.
public enum RecordingMismatch: Hashable, Sendable {
  /// What a recording is compared with.
  public enum Reference: Hashable, Sendable {
    /// The recordings that the models were trained on.
    case training
    /// Most of the recordings beside it.
    case dataSet
  }

  /// A column that is to be a channel is a time, a counter or a label: by its name, or as its values
  /// rise or fall evenly where `name` is nil. `channels` are those that may be meant instead.
  case indexColumn(column: Int, name: String?, channels: ChannelSelection?)
  /// The channels have other names. `channels` are the columns with the names expected.
  case otherNames(
    found: [String], expected: [String], reference: Reference, channels: ChannelSelection?)
  /// A channel is much weaker or much stronger. `factor` is the power of ten that would mend it, where
  /// most channels are off alike.
  case otherDeviation(
    column: Int, found: Double, expected: Double, reference: Reference, factor: Double?)
  /// A channel does not change. `channels` are the others.
  case deadChannel(column: Int, channels: ChannelSelection?)
  /// A channel stands still in a share of the samples, first from a line on.
  case stillChannel(column: Int, share: Double, firstLine: Int)
  /// One sample is far out of what its channel does otherwise, `distance` times the usual.
  case outlier(line: Int, column: Int, found: Double, distance: Double)
  /// A column of times, a column that repeats the rate or a comment tells another sampling rate.
  case otherRate(place: String, found: Double, expected: Double, reference: Reference)
  /// A column of times falls: the rows stand the other way round.
  case fallingTimes(place: String)

  /// What mismatches of one sort have in common, whatever their figures.
  public var kind: String {
    switch self {
    case .indexColumn(let column, let name, _): "index \(column) \(name ?? "")"
    case .otherNames(let found, _, _, _): "names \(found.joined(separator: ","))"
    case .otherDeviation(let column, _, _, _, _): "deviation \(column)"
    case .deadChannel(let column, _): "dead \(column)"
    case .stillChannel(let column, _, _): "still \(column)"
    case .outlier(_, let column, _, _): "outlier \(column)"
    case .otherRate(let place, _, _, _): "rate \(place)"
    case .fallingTimes(let place): "times \(place)"
    }
  }
}

extension RecordingMismatch: CustomStringConvertible {
  /// What was found, what was expected, and what helps; a recording's path goes before it.
  public var description: String {
    switch self {
    case .indexColumn(let column, let name, let channels):
      "column \(column) \(Self.indexed(name)), expected a channel"
        + (channels.map { "; the channels may be --channels \($0)" } ?? "; see --channels")
    case .otherNames(let found, let expected, let reference, let channels):
      "found the channels \(Self.list(found)), expected \(Self.list(expected)) as "
        + Self.words(reference)
        + Self.remedy(forNames: found, expected, channels)
    case .otherDeviation(let column, let found, let expected, let reference, let factor):
      "column \(column) has a deviation of \(Self.figure(found)), expected about "
        + "\(Self.figure(expected)) as \(Self.words(reference)); "
        + Self.remedy(factor, reference)
    case .deadChannel(let column, let channels):
      "column \(column) never changes, expected a signal"
        + (channels.map { "; to leave the channel out: --channels \($0)" } ?? "")
    case .stillChannel(let column, let share, let firstLine):
      "column \(column) stands still in \(Self.figure((1000 * share).rounded() / 10)) % of the samples, "
        + "first from line \(firstLine) on, expected a signal; cut that part away, or leave the "
        + "recording out"
    case .outlier(let line, let column, let found, let distance):
      "found \(Self.figure(found)) in line \(line), column \(column), "
        + "\(Self.figure(distance)) times as far out as usual; mend the sample"
    case .otherRate(let place, let found, let expected, let reference):
      "\(place) tells \(Self.figure(found)) samples per second, expected "
        + "\(Self.figure(expected))" + Self.remedy(forRate: found, expected, reference)
    case .fallingTimes(let place):
      "\(place) falls: its times run backward, expected rows in the order in which they were "
        + "recorded; sort them"
    }
  }

  private static func indexed(_ name: String?) -> String {
    guard let name else { return "rises or falls evenly, as a time, an index or a drift does" }
    return name.isEmpty
      ? "has no name, as the index that pandas writes"
      : "is a time, an index or a label by its name, \(name)"
  }

  private static func words(_ reference: Reference) -> String {
    switch reference {
    case .training: "in the recordings that the models were trained on"
    case .dataSet: "in most recordings beside it"
    }
  }

  private static func remedy(_ factor: Double?, _ reference: Reference) -> String {
    guard let factor else { return "see to its electrode and its gain, or leave the recording out" }
    switch reference {
    case .training: return "the unit may be another: --scale \(figure(factor))"
    case .dataSet:
      return "the unit may be another: multiply its samples by \(figure(factor)), or leave it out"
    }
  }

  /// A trained model knows one rate; a training takes any that all recordings have.
  private static func remedy(
    forRate found: Double, _ expected: Double, _ reference: Reference
  ) -> String {
    let gap = found < expected ? ", or mend the gap in its times" : ""
    switch reference {
    case .training:
      return " as in the training; resample the recording to \(figure(expected))" + gap
    case .dataSet:
      return "; where all recordings have that rate, give --sample-rate \(figure(found)), else "
        + "resample it" + gap
    }
  }

  /// What helps where other names are in the header.
  private static func remedy(
    forNames found: [String], _ expected: [String], _ channels: ChannelSelection?
  ) -> String {
    if let channels { return "; they are --channels \(channels)" }
    let units = zip(found, expected).allSatisfy {
      ColumnName.withoutUnit($0) == ColumnName.withoutUnit($1)
    }
    return units
      ? "; the names differ in the unit alone: rename them in its header, and see --scale where the "
        + "numbers are in that unit"
      : "; where they are the same channels, rename them in its header"
  }

  private static func list(_ names: [String]) -> String {
    names.prefix(16).joined(separator: ",") + (names.count > 16 ? ",…" : "")
  }

  /// Four digits, without an exponent where none is needed.
  public static func figure(_ value: Double) -> String {
    guard value != 0, value.isFinite else { return value == 0 ? "0" : "\(value)" }
    // By a power of ten that is whole, so that the result is the double next to the decimal.
    let exponent = 3 - Int(log10(abs(value)).rounded(.down))
    let power = pow(10, Double(abs(exponent)))
    let rounded =
      exponent >= 0 ? (value * power).rounded() / power : (value / power).rounded() * power
    let text = "\(rounded.isFinite ? rounded : value)"
    return (text.hasSuffix(".0") ? String(text.dropLast(2)) : text)
      .replacing("e-0", with: "e-")
  }
}
