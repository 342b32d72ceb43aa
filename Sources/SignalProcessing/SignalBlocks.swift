/// A recording in double precision, eight channels side by side in one vector, so that a recursive
/// filter, which cannot be vectorised along time, is vectorised across channels.
public struct SignalBlocks: Sendable {
  public typealias Block = SIMD8<Double>

  /// How many samples a channel has.
  public private(set) var samples = 0
  public let channels: Int
  /// `[groups][T]`: group g holds channels 8g…8g+7; lanes beyond the last channel are zero.
  var blocks: [[Block]]

  /// Bytes of its samples in memory.
  public var byteCount: Int { groups * samples * MemoryLayout<Block>.stride }

  public var groups: Int { blocks.count }

  /// An empty signal, to be loaded.
  public init(channels: Int) {
    precondition(channels > 0, "a signal of \(channels) channels")
    self.channels = channels
    blocks = Array(repeating: [], count: (channels + 7) / 8)
  }

  /// Takes interleaved samples `[T, C]`.
  public init(_ values: [Double], channels: Int) {
    self.init(channels: channels)
    values.withUnsafeBufferPointer { load($0) }
  }

  /// Takes other interleaved samples `[T, C]`, in the memory that the last ones had.
  public mutating func load(_ values: UnsafeBufferPointer<Double>) {
    removeAll(reservingSamples: values.count / channels)
    append(values)
  }

  /// Takes other interleaved samples `[T, C]`, in the memory that the last ones had.
  public mutating func load(_ values: UnsafeBufferPointer<Float>) {
    removeAll(reservingSamples: values.count / channels)
    take(values)
  }

  /// Forgets all samples, and makes room for so many others.
  public mutating func removeAll(reservingSamples count: Int) {
    samples = 0
    for group in blocks.indices {
      blocks[group].removeAll(keepingCapacity: true)
      blocks[group].reserveCapacity(count)
    }
  }

  /// Takes in the interleaved samples `[T, C]` that come next.
  public mutating func append(_ values: UnsafeBufferPointer<Double>) { take(values) }

  @inline(__always)
  private mutating func take<Value: BinaryFloatingPoint>(_ values: UnsafeBufferPointer<Value>) {
    let channels = channels
    precondition(
      values.count % channels == 0, "\(values.count) values are no whole samples of \(channels)")
    let count = values.count / channels
    samples += count
    for group in blocks.indices {
      let lanes = min(8, channels - 8 * group)
      for sample in 0..<count {
        let start = sample * channels + 8 * group
        var block = Block()
        if lanes == 8 {
          for lane in 0..<8 { block[lane] = Double(values[start + lane]) }
        } else {
          for lane in 0..<lanes { block[lane] = Double(values[start + lane]) }
        }
        blocks[group].append(block)
      }
    }
  }

  /// Brings the channels to another order: channel c becomes what `order[c]` was.
  public mutating func reorder(_ order: [Int]) {
    precondition(order.sorted() == Array(0..<channels), "an order of \(channels) channels")
    var row = [Double](repeating: 0, count: channels)
    for sample in 0..<samples {
      for channel in 0..<channels { row[channel] = self[sample, order[channel]] }
      for channel in 0..<channels { blocks[channel / 8][sample][channel % 8] = row[channel] }
    }
  }

  /// Multiplies every sample, to bring it to another unit.
  public mutating func multiply(by factor: Double) {
    for group in blocks.indices {
      for index in blocks[group].indices { blocks[group][index] *= factor }
    }
  }

  /// The samples interleaved again, `[T, C]`.
  public var interleaved: [Double] {
    var values = [Double](repeating: 0, count: samples * channels)
    for sample in 0..<samples {
      for channel in 0..<channels {
        values[sample * channels + channel] = self[sample, channel]
      }
    }
    return values
  }

  public subscript(sample: Int, channel: Int) -> Double {
    blocks[channel / 8][sample][channel % 8]
  }

  /// Whether a sample's magnitude is above `limit`.
  public func exceeds(_ limit: Double) -> Bool {
    // One pass of products settles nearly every case; a lane by lane maximum takes ten times as
    // long at the baseline instruction set.
    var squares = Block.zero
    for group in blocks { for block in group { squares += block * block } }
    // The root, not the square of the limit: that may overflow as the sum does.
    guard !(squares.sum().squareRoot() <= limit) else { return false }
    return blocks.joined().contains { block in
      (0..<8).contains { abs(block[$0]) > limit }
    }
  }

  /// Writes all samples, interleaved `[T, C]` and rounded to single precision.
  public func write(to values: UnsafeMutableBufferPointer<Float>) {
    write(0..<samples, to: values)
  }

  /// Writes the samples of `range` in the same way.
  public func write(_ range: Range<Int>, to values: UnsafeMutableBufferPointer<Float>) {
    precondition(values.count == range.count * channels, "the place has another size")
    if channels == 8 {
      blocks[0][range].withUnsafeBufferPointer { blocks in
        for (sample, block) in blocks.enumerated() {
          for lane in 0..<8 { values[8 * sample + lane] = Float(block[lane]) }
        }
      }
    } else {
      for (row, sample) in range.enumerated() {
        for channel in 0..<channels {
          values[row * channels + channel] = Float(self[sample, channel])
        }
      }
    }
  }
}
