import Foundation
import Recordings

/// What a set of recordings looks like as a whole, for comparing one set with another.
struct SignalStatistics {
  /// Shares of the power in 0–20, 20–50, 50–150 and 150–256 Hz.
  var bandShares = [Double](repeating: 0, count: 4)
  /// Median over recordings and channels of the excess kurtosis.
  var kurtosis = 0.0
  /// Mean correlation of channels 1, 2, 3 and 4 places apart in the ring of eight.
  var ringCorrelations = [Double](repeating: 0, count: 4)
  /// Over all samples.
  var deviation = 0.0
  /// Mean over channels of the deviation of log-RMS over recordings.
  var amplitudeSpread = 0.0
  /// Highest over lowest deviation of a subject.
  var subjectRatio = 0.0
  /// Accuracy of a linear discriminant on log-RMS of each channel and window, fitted on sessions 1
  /// and 2, on session 3.
  var discriminantAccuracy = 0.0

  /// Reads all recordings below `directory`: 512 Hz, eight channels.
  init(directory: String) throws {
    let set = try RecordingSet(directory: directory)
    let report = try readRecordings(set.descriptors, options: ReadOptions(), threads: 2) {
      RecordingStatistics($1)
    }
    guard report.problems.isEmpty, set.problems.isEmpty else {
      throw RecordingProblems(set.problems + report.problems)
    }
    let all = zip(set.descriptors, report.values.compactMap { $0 })
    summarize(all.map { $0 })
  }

  private mutating func summarize(_ all: [(RecordingDescriptor, RecordingStatistics)]) {
    let count = Double(all.count)
    for (_, one) in all {
      for band in 0..<4 { bandShares[band] += one.bandPower[band] }
      for distance in 0..<4 { ringCorrelations[distance] += one.ringCorrelations[distance] / count }
    }
    let power = bandShares.reduce(0, +)
    bandShares = bandShares.map { $0 / power }
    kurtosis = all.flatMap(\.1.kurtoses).sorted()[all.count * 4]
    deviation = (all.map { mean($0.1.variances) }.reduce(0, +) / count).squareRoot()
    amplitudeSpread = mean(
      (0..<8).map { channel in
        let logs = all.map { log($0.1.variances[channel]) / 2 }
        let center = mean(logs)
        return mean(logs.map { ($0 - center) * ($0 - center) }).squareRoot()
      })
    let subjects = Dictionary(grouping: all, by: \.0.subject).values.map { own in
      mean(own.map { mean($0.1.variances) }).squareRoot()
    }
    subjectRatio = (subjects.max() ?? 0) / (subjects.min() ?? 1)
    let rows = { (isTest: Bool) in
      all.filter { ($0.0.session == 3) == isTest }.flatMap { recording, one in
        one.windows.map { (recording.gesture, $0) }
      }
    }
    discriminantAccuracy = LinearDiscriminant(rows(false)).accuracy(on: rows(true))
  }
}

private func mean(_ values: [Double]) -> Double { values.reduce(0, +) / Double(values.count) }

/// The same of one recording.
struct RecordingStatistics: Sendable {
  var variances: [Double] = []
  var kurtoses: [Double] = []
  var ringCorrelations: [Double] = []
  var bandPower = [Double](repeating: 0, count: 4)
  /// Log-RMS around the mean, of each channel, in windows of 204 samples every 81.
  var windows: [[Double]] = []

  init(_ recording: Recording) {
    let channels = (0..<8).map { channel in
      (0..<recording.sampleCount).map { recording.samples[$0 * 8 + channel] }
    }
    let centered = channels.map { values in
      let center = mean(values)
      return values.map { $0 - center }
    }
    variances = centered.map { mean($0.map { $0 * $0 }) }
    kurtoses = zip(centered, variances).map { values, variance in
      mean(values.map { $0 * $0 * $0 * $0 }) / (variance * variance) - 3
    }
    ringCorrelations = (1...4).map { distance in
      mean(
        (0..<8).map { channel in
          let other = (channel + distance) % 8
          let product = mean(zip(centered[channel], centered[other]).map { $0 * $1 })
          return product / (variances[channel] * variances[other]).squareRoot()
        })
    }
    for values in centered { addBandPower(of: values) }
    for start in stride(from: 0, through: recording.sampleCount - 204, by: 81) {
      windows.append(
        channels.map { values in
          let window = Array(values[start..<start + 204])
          let center = mean(window)
          return log(mean(window.map { ($0 - center) * ($0 - center) }) + 1e-24) / 2
        })
    }
  }

  /// Periodograms of whole seconds under a Hann window: a bin a hertz.
  private mutating func addBandPower(of values: [Double]) {
    for start in stride(from: 0, through: values.count - 512, by: 512) {
      var re = (0..<512).map { index in
        values[start + index] * (1 - cos(2 * Double.pi * Double(index) / 512))
      }
      var im = [Double](repeating: 0, count: 512)
      transform(&re, &im)
      for hertz in 0..<256 {
        let band = hertz < 20 ? 0 : hertz < 50 ? 1 : hertz < 150 ? 2 : 3
        bandPower[band] += re[hertz] * re[hertz] + im[hertz] * im[hertz]
      }
    }
  }
}

/// Fast Fourier transform of a power of two of values, in place.
private func transform(_ re: inout [Double], _ im: inout [Double]) {
  let count = re.count
  let shift = count.leadingZeroBitCount + 1
  for index in 0..<count {
    let reversed = Int(truncatingIfNeeded: UInt64(index).bitReversed >> UInt64(shift))
    if index < reversed {
      re.swapAt(index, reversed)
      im.swapAt(index, reversed)
    }
  }
  var half = 1
  while half < count {
    for offset in 0..<half {
      let angle = -Double.pi * Double(offset) / Double(half)
      let (c, s) = (cos(angle), sin(angle))
      for low in stride(from: offset, to: count, by: 2 * half) {
        let high = low + half
        let (r, i) = (re[high] * c - im[high] * s, re[high] * s + im[high] * c)
        (re[high], im[high]) = (re[low] - r, im[low] - i)
        (re[low], im[low]) = (re[low] + r, im[low] + i)
      }
    }
    half *= 2
  }
}

extension UInt64 {
  fileprivate var bitReversed: UInt64 {
    (0..<64).reduce(0) { $0 << 1 | (self >> UInt64($1)) & 1 }
  }
}

/// Fisher's discriminant with one covariance for all classes.
struct LinearDiscriminant {
  private var weights: [Int: [Double]] = [:]
  private var biases: [Int: Double] = [:]

  init(_ rows: [(label: Int, values: [Double])]) {
    let size = rows[0].values.count
    let groups = Dictionary(grouping: rows, by: \.label)
    let means = groups.mapValues { group in
      (0..<size).map { column in mean(group.map { $0.values[column] }) }
    }
    var covariance = [[Double]](repeating: .init(repeating: 0, count: size), count: size)
    for row in rows {
      guard let center = means[row.label] else { continue }
      let offsets = zip(row.values, center).map { $0 - $1 }
      for i in 0..<size {
        for j in 0..<size { covariance[i][j] += offsets[i] * offsets[j] / Double(rows.count) }
      }
    }
    for (label, center) in means {
      let weight = solve(covariance, center)
      weights[label] = weight
      biases[label] = -zip(weight, center).reduce(0) { $0 + $1.0 * $1.1 } / 2
    }
  }

  func accuracy(on rows: [(label: Int, values: [Double])]) -> Double {
    let hits = rows.count { row in
      let scores = weights.mapValues { zip($0, row.values).reduce(0) { $0 + $1.0 * $1.1 } }
      let best = scores.max { $0.value + (biases[$0.key] ?? 0) < $1.value + (biases[$1.key] ?? 0) }
      return best?.key == row.label
    }
    return Double(hits) / Double(rows.count)
  }
}

/// Gaussian elimination with the largest pivot.
private func solve(_ matrix: [[Double]], _ right: [Double]) -> [Double] {
  let size = right.count
  var rows = zip(matrix, right).map { $0 + [$1] }
  for column in 0..<size {
    let pivot = (column..<size).max { abs(rows[$0][column]) < abs(rows[$1][column]) } ?? column
    rows.swapAt(column, pivot)
    for row in 0..<size where row != column {
      let factor = rows[row][column] / rows[column][column]
      for k in column...size { rows[row][k] -= factor * rows[column][k] }
    }
  }
  return (0..<size).map { rows[$0][size] / rows[$0][$0] }
}
