/// A recording in double precision, eight channels side by side in one vector, so that a recursive
/// filter, which cannot be vectorised along time, is vectorised across channels.
public struct SignalBlocks: Sendable {
  public typealias Block = SIMD8<Double>

  /// How many samples a channel has.
  public private(set) var samples = 0
  public let channels: Int
  /// `[groups, T]`: group g holds channels 8g…8g+7; lanes beyond the last channel are zero.
  var blocks: [Block] = []
  /// Room for a filter to extend the signal in. Kept from one recording to the next: giving half a
  /// megabyte back and asking for it again costs as much in page faults as the filters take.
  var scratch: [Block] = []

  public var groups: Int { (channels + 7) / 8 }

  /// An empty signal, to be loaded.
  public init(channels: Int) {
    precondition(channels > 0, "a signal of \(channels) channels")
    self.channels = channels
  }

  /// Takes interleaved samples `[T, C]`.
  public init(_ values: [Double], channels: Int) {
    self.init(channels: channels)
    values.withUnsafeBufferPointer { load($0) }
  }

  /// Takes other interleaved samples `[T, C]`, in the memory that the last ones had.
  public mutating func load(_ values: UnsafeBufferPointer<Double>) { take(values) }

  /// Takes other interleaved samples `[T, C]`, in the memory that the last ones had.
  public mutating func load(_ values: UnsafeBufferPointer<Float>) { take(values) }

  @inline(__always)
  private mutating func take<Value: BinaryFloatingPoint>(_ values: UnsafeBufferPointer<Value>) {
    let channels = channels
    precondition(
      values.count % channels == 0, "\(values.count) values are no whole samples of \(channels)")
    let samples = values.count / channels
    self.samples = samples
    blocks.removeAll(keepingCapacity: true)
    blocks.reserveCapacity(groups * samples)
    for group in 0..<groups {
      let lanes = min(8, channels - 8 * group)
      for sample in 0..<samples {
        let start = sample * channels + 8 * group
        var block = Block()
        if lanes == 8 {
          for lane in 0..<8 { block[lane] = Double(values[start + lane]) }
        } else {
          for lane in 0..<lanes { block[lane] = Double(values[start + lane]) }
        }
        blocks.append(block)
      }
    }
  }

  /// Multiplies every sample, to bring it to another unit.
  public mutating func multiply(by factor: Double) {
    for index in blocks.indices { blocks[index] *= factor }
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
    blocks[channel / 8 * samples + sample][channel % 8]
  }

  /// Whether a sample's magnitude is above `limit`.
  public func exceeds(_ limit: Double) -> Bool {
    // One pass of products settles nearly every case; a lane by lane maximum takes ten times as
    // long at the baseline instruction set.
    var squares = Block.zero
    for block in blocks { squares += block * block }
    // The root, not the square of the limit: that may overflow as the sum does.
    guard !(squares.sum().squareRoot() <= limit) else { return false }
    return blocks.contains { block in
      (0..<8).contains { abs(block[$0]) > limit }
    }
  }

  /// Writes the samples, interleaved `[T, C]` and rounded to single precision.
  public func write(to values: UnsafeMutableBufferPointer<Float>) {
    precondition(values.count == samples * channels, "the place has another size than the signal")
    if channels == 8 {
      blocks.withUnsafeBufferPointer { blocks in
        for (sample, block) in blocks.enumerated() {
          for lane in 0..<8 { values[8 * sample + lane] = Float(block[lane]) }
        }
      }
    } else {
      for sample in 0..<samples {
        for channel in 0..<channels {
          values[sample * channels + channel] = Float(self[sample, channel])
        }
      }
    }
  }
}
