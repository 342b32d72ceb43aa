/// The registers of one transposed direct-form-II section, for eight channels at once.
struct SectionState: Sendable {
  var first = SignalBlocks.Block.zero
  var second = SignalBlocks.Block.zero
}

extension SecondOrderSection {
  /// Filters `count` samples in place, going `stride` (1 or −1) at a time from `start`.
  ///
  /// A section at a time over the whole signal, not all sections sample by sample: one section's
  /// coefficients and registers are what the processor can hold.
  func run(
    _ start: UnsafeMutablePointer<SignalBlocks.Block>, count: Int, stride: Int,
    state: inout SectionState
  ) {
    var (first, second) = (state.first, state.second)
    var place = start
    for _ in 0..<count {
      let input = place.pointee
      let output = b0 * input + first
      first = b1 * input - a1 * output + second
      second = b2 * input - a2 * output
      place.pointee = output
      place += stride
    }
    state = SectionState(first: first, second: second)
  }
}

/// A filter applied forward and then backward over a whole recording, so that nothing is delayed
/// and the magnitude response is squared (Gustafsson's problem of the ends solved by extension).
///
/// The recording is extended at both ends by `padding` samples mirrored about its end sample
/// (2·x₀ − xₖ), and each pass starts settled on its first sample: what scipy's
/// `sosfiltfilt(sos, x, padtype="odd", padlen=padding)` does, to rounding.
public struct ZeroPhaseFilter: Sendable {
  public let series: SecondOrderSections
  public let padding: Int
  private let steadyState: [(first: Double, second: Double)]

  /// - Parameter padding: samples of extension at each end.
  public init(_ series: SecondOrderSections, padding: Int) {
    precondition(padding >= 0, "a padding of \(padding) samples")
    self.series = series
    self.padding = padding
    steadyState = series.steadyState
  }

  /// Filters every channel in place.
  ///
  /// - Throws: ``SignalProcessingError/recordingTooShort(samples:required:)`` when there are not
  ///   more samples than `padding`.
  public func apply(to signal: inout SignalBlocks) throws(SignalProcessingError) {
    guard signal.samples > padding else {
      throw .recordingTooShort(samples: signal.samples, required: padding + 1)
    }
    let (length, groups) = (signal.samples, signal.groups)
    let total = length + 2 * padding
    if signal.scratch.count < total {
      signal.scratch = Array(repeating: .zero, count: total)
    }
    signal.scratch.withUnsafeMutableBufferPointer { scratch in
      let extended = UnsafeMutableBufferPointer(rebasing: scratch[..<total])
      signal.blocks.withUnsafeMutableBufferPointer { blocks in
        for group in 0..<groups {
          apply(
            to: UnsafeMutableBufferPointer(rebasing: blocks[group * length..<(group + 1) * length]),
            extended: extended)
        }
      }
    }
  }

  private func apply(
    to blocks: UnsafeMutableBufferPointer<SignalBlocks.Block>,
    extended: UnsafeMutableBufferPointer<SignalBlocks.Block>
  ) {
    guard let source = blocks.baseAddress, let base = extended.baseAddress else { return }
    let length = blocks.count
    let total = extended.count
    let (first, last) = (source[0], source[length - 1])
    for index in 0..<padding {
      base[index] = 2 * first - source[padding - index]
      base[padding + length + index] = 2 * last - source[length - 2 - index]
    }
    (base + padding).update(from: source, count: length)
    pass(base, count: total, stride: 1)
    pass(base + (total - 1), count: total, stride: -1)
    source.update(from: base + padding, count: length)
  }

  private func pass(
    _ start: UnsafeMutablePointer<SignalBlocks.Block>, count: Int, stride: Int
  ) {
    let level = start.pointee
    for (section, settled) in zip(series.sections, steadyState) {
      var state = SectionState(first: settled.first * level, second: settled.second * level)
      section.run(start, count: count, stride: stride, state: &state)
    }
  }
}

/// A filter that sees only the past and keeps its state between chunks: for signals as they come.
///
/// However a signal is cut into chunks, the output is the same, bit for bit, and equals scipy's
/// `sosfilt` over the whole.
public struct StreamingFilter: Sendable {
  public let series: SecondOrderSections
  public let channels: Int
  /// `[groups, sections]`
  private var states: [SectionState]

  /// Starts from silence.
  public init(_ series: SecondOrderSections, channels: Int) {
    precondition(channels > 0, "a filter of \(channels) channels")
    self.series = series
    self.channels = channels
    states = Array(
      repeating: SectionState(), count: (channels + 7) / 8 * series.sections.count)
  }

  /// Goes back to silence.
  public mutating func reset() {
    for index in states.indices { states[index] = SectionState() }
  }

  /// Goes to the state of having seen `sample` (one value a channel) for ever, which spares the
  /// transient that a constant offset would cause.
  public mutating func settle(on sample: [Double]) {
    precondition(sample.count == channels, "\(sample.count) values for \(channels) channels")
    let level = SignalBlocks(sample, channels: channels)
    let settled = series.steadyState
    for index in states.indices {
      let block = level.blocks[index / settled.count]
      let state = settled[index % settled.count]
      states[index] = SectionState(first: state.first * block, second: state.second * block)
    }
  }

  /// Filters the next samples, interleaved `[T, C]` with any T, in place.
  public mutating func process(_ chunk: inout [Double]) {
    var signal = SignalBlocks(chunk, channels: channels)
    process(&signal)
    chunk = signal.interleaved
  }

  /// Filters the next samples in place.
  public mutating func process(_ signal: inout SignalBlocks) {
    precondition(signal.channels == channels, "\(signal.channels) channels for \(channels)")
    let (length, groups, sections) = (signal.samples, signal.groups, series.sections)
    signal.blocks.withUnsafeMutableBufferPointer { blocks in
      guard let base = blocks.baseAddress else { return }
      for group in 0..<groups {
        for (index, section) in sections.enumerated() {
          section.run(
            base + group * length, count: length, stride: 1,
            state: &states[group * sections.count + index])
        }
      }
    }
  }
}
