/// A recording in double precision, eight channels side by side in one vector, so that a recursive
/// filter, which cannot be vectorised along time, is vectorised across channels.
public struct SignalBlocks: Sendable {
  public typealias Block = SIMD8<Double>

  /// How many samples a channel has.
  public let samples: Int
  public let channels: Int
  /// `[groups, T]`: group g holds channels 8g…8g+7; lanes beyond the last channel are zero.
  var blocks: [Block]

  public var groups: Int { (channels + 7) / 8 }

  /// Takes interleaved samples `[T, C]`.
  public init(_ values: [Double], channels: Int) {
    self.init(count: values.count, channels: channels) { values[$0] }
  }

  /// Takes interleaved samples `[T, C]`.
  public init(_ values: UnsafeBufferPointer<Float>, channels: Int) {
    guard channels == 8 else {
      self.init(count: values.count, channels: channels) { Double(values[$0]) }
      return
    }
    precondition(values.count % 8 == 0, "\(values.count) values are no whole samples of 8")
    let samples = values.count / 8
    let blocks = [Block](unsafeUninitializedCapacity: samples) { buffer, count in
      for sample in 0..<samples {
        var block = Block()
        for lane in 0..<8 { block[lane] = Double(values[8 * sample + lane]) }
        buffer[sample] = block
      }
      count = samples
    }
    self.init(samples: samples, channels: 8, blocks: blocks)
  }

  private init(count: Int, channels: Int, value: (Int) -> Double) {
    precondition(
      channels > 0 && count % channels == 0, "\(count) values are no whole samples of \(channels)")
    let samples = count / channels
    var blocks = [Block](repeating: .zero, count: (channels + 7) / 8 * samples)
    for sample in 0..<samples {
      for channel in 0..<channels {
        blocks[channel / 8 * samples + sample][channel % 8] = value(sample * channels + channel)
      }
    }
    self.init(samples: samples, channels: channels, blocks: blocks)
  }

  private init(samples: Int, channels: Int, blocks: [Block]) {
    (self.samples, self.channels, self.blocks) = (samples, channels, blocks)
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
