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
    for group in signal.blocks.indices {
      signal.blocks[group].withUnsafeMutableBufferPointer { apply(to: $0) }
    }
  }

  /// The extensions are kept apart from the recording, so that no copy of it is needed: a recording
  /// of hours has just room for itself.
  private func apply(to blocks: UnsafeMutableBufferPointer<SignalBlocks.Block>) {
    guard let source = blocks.baseAddress else { return }
    let length = blocks.count
    let (first, last) = (source[0], source[length - 1])
    var before = (0..<padding).map { 2 * first - source[padding - $0] }
    var after = (0..<padding).map { 2 * last - source[length - 2 - $0] }
    before.withUnsafeMutableBufferPointer { before in
      after.withUnsafeMutableBufferPointer { after in
        pass(over: [before, blocks, after], stride: 1)
        // What comes before the recording comes last here, and is of no use any more.
        pass(over: [after, blocks], stride: -1)
      }
    }
  }

  /// How many samples pass through one section after another while the cache holds them.
  private static let piece = 256

  /// One pass over parts that follow each other, in the direction of `stride`.
  private func pass(
    over parts: [UnsafeMutableBufferPointer<SignalBlocks.Block>], stride step: Int
  ) {
    guard let first = parts.first(where: { !$0.isEmpty }) else { return }
    let level = step > 0 ? first[0] : first[first.count - 1]
    var states = steadyState.map {
      SectionState(first: $0.first * level, second: $0.second * level)
    }
    for part in parts {
      guard let base = part.baseAddress else { continue }
      for start in Swift.stride(from: 0, to: part.count, by: Self.piece) {
        let place = base + (step > 0 ? start : part.count - 1 - start)
        for (index, section) in series.sections.enumerated() {
          section.run(
            place, count: min(Self.piece, part.count - start), stride: step,
            state: &states[index])
        }
      }
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

  /// Goes to the state of having seen `sample` (one value per channel) for ever, which spares the
  /// transient that a constant offset would cause.
  public mutating func settle(on sample: [Double]) {
    precondition(sample.count == channels, "\(sample.count) values for \(channels) channels")
    let level = SignalBlocks(sample, channels: channels)
    let settled = series.steadyState
    for index in states.indices {
      let block = level.blocks[index / settled.count][0]
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
    let (length, sections) = (signal.samples, series.sections)
    for group in signal.blocks.indices {
      signal.blocks[group].withUnsafeMutableBufferPointer { blocks in
        guard let base = blocks.baseAddress else { return }
        for (index, section) in sections.enumerated() {
          section.run(
            base, count: length, stride: 1, state: &states[group * sections.count + index])
        }
      }
    }
  }
}
