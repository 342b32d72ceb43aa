import Foundation

/// A second-order filter section on all electrodes at once, direct form II transposed.
private struct FrameFilter {
  private let b0, b1, b2, a1, a2: Double
  private var s1 = ElectrodeFrame.zero
  private var s2 = ElectrodeFrame.zero

  /// One section of a Butterworth filter by the bilinear transform; `q` is the section's quality.
  init(isHighPass: Bool, hertz: Double, sampleRate: Double, q: Double) {
    let w = 2 * Double.pi * hertz / sampleRate
    let alpha = sin(w) / (2 * q)
    let scale = 1 / (1 + alpha)
    let edge = isHighPass ? 1 + cos(w) : 1 - cos(w)
    b0 = edge / 2 * scale
    b1 = (isHighPass ? -edge : edge) * scale
    b2 = b0
    a1 = -2 * cos(w) * scale
    a2 = (1 - alpha) * scale
  }

  mutating func callAsFunction(_ x: ElectrodeFrame) -> ElectrodeFrame {
    let y = b0 * x + s1
    s1 = b1 * x - a1 * y + s2
    s2 = b2 * x - a2 * y
    return y
  }
}

/// The signal of one trial: what the electrodes of a forearm see while a gesture is held.
struct SynthesizedSignal {
  let forearm: Forearm
  let sampleRate: Double
  let sampleCount: Int

  /// Samples before the recording, in which the units get out of step and the filters settle.
  private var leadIn: Int { Int(sampleRate * 0.5) }

  /// One frame a sample. `random` is the trial's own.
  func make(gesture: Int, _ random: inout SynthesisRandom) -> [ElectrodeFrame] {
    let level = random.factor(Variation.trialLevel)
    let activations = forearm.activations[gesture].map {
      $0 * level * random.factor(Variation.trialHabit)
    }
    let effort = makeEffort(&random)
    var frames = [ElectrodeFrame](repeating: .zero, count: leadIn + sampleCount)
    let longest = forearm.units.map(\.taps).max() ?? 0
    frames.append(contentsOf: repeatElement(.zero, count: longest))
    for unit in forearm.units {
      fire(unit, activation: activations[unit.muscle], effort: effort, into: &frames, &random)
    }
    return record(frames, &random)
  }

  /// The course of the effort, around 1: a rise at the beginning, then a slow wander, in steps of
  /// 1/64 second.
  private func makeEffort(_ random: inout SynthesisRandom) -> [Double] {
    let step = 1.0 / 64
    let keep = exp(-step / Variation.tremorSeconds)
    var wander = Variation.tremor * random.normal()
    let count = Int(Double(leadIn + sampleCount) / sampleRate / step) + 2
    let riseSeconds = 0.4 * random.factor(0.3)
    return (0..<count).map { index in
      wander =
        keep * wander
        + (1 - keep * keep).squareRoot() * Variation.tremor * random.normal()
      let seconds = max(0, Double(index) * step - 0.5)
      return exp(wander - 0.35 * exp(-seconds / riseSeconds))
    }
  }

  /// Adds a unit's train of action potentials: it fires while its muscle's activation is above its
  /// threshold, faster the higher, at intervals that vary by a sixth.
  private func fire(
    _ unit: MotorUnit, activation: Double, effort: [Double], into frames: inout [ElectrodeFrame],
    _ random: inout SynthesisRandom
  ) {
    let end = Double(leadIn + sampleCount) / sampleRate
    var time = -random.uniform(0, 0.15)
    while true {
      let drive = activation * effort[min(effort.count - 1, max(0, Int(time * 64)))]
      guard drive > unit.threshold else {
        time += 0.05 * random.uniform(0.5, 1.5)
        if time >= end { return }
        continue
      }
      let rate = min(35, 8 + 30 * (drive - unit.threshold))
      time += max(0.005, (1 + 0.17 * random.normal()) / rate)
      if time >= end { return }
      if time < 0 { continue }
      let position = Int(time * sampleRate * Double(MotorUnit.phases))
      add(unit, at: position / MotorUnit.phases, phase: position % MotorUnit.phases, to: &frames)
    }
  }

  private func add(
    _ unit: MotorUnit, at start: Int, phase: Int, to frames: inout [ElectrodeFrame]
  ) {
    let taps = unit.taps
    let gains = unit.gains
    unit.potential.withUnsafeBufferPointer { potential in
      frames.withUnsafeMutableBufferPointer { frames in
        for tap in 0..<taps {
          frames[start + tap] += potential[phase * taps + tap] * gains
        }
      }
    }
  }

  /// What an amplifier makes of it: a band of 20 to 215 Hz; then hum, drift and noise.
  private func record(_ frames: [ElectrodeFrame], _ random: inout SynthesisRandom)
    -> [ElectrodeFrame]
  {
    let lowPass = min(215, 0.42 * sampleRate)
    // The two sections of a Butterworth filter of order 4.
    let qualities = [0.541_196_100_146_197, 1.306_562_964_876_377]
    var filters = qualities.flatMap { q in
      [
        FrameFilter(isHighPass: true, hertz: 19, sampleRate: sampleRate, q: q),
        FrameFilter(isHighPass: false, hertz: lowPass, sampleRate: sampleRate, q: q),
      ]
    }
    var drift = Variation.drift * normals(&random)
    let keep = exp(-1 / (sampleRate * 0.8))
    let push = (1 - keep * keep).squareRoot() * Variation.drift
    var recorded: [ElectrodeFrame] = []
    recorded.reserveCapacity(sampleCount)
    for index in 0..<leadIn + sampleCount {
      var frame = frames[index]
      for filter in filters.indices { frame = filters[filter](frame) }
      drift = keep * drift + push * normals(&random)
      guard index >= leadIn else { continue }
      let angle = 2 * Double.pi * 50 * Double(index) / sampleRate
      recorded.append(
        forearm.electrodeGains * frame + hum(at: angle) + drift
          + Variation.noise * normals(&random))
    }
    return recorded
  }

  private func hum(at angle: Double) -> ElectrodeFrame {
    var phase = ElectrodeFrame.zero
    for electrode in 0..<Forearm.electrodes {
      phase[electrode] = sin(angle + forearm.humPhases[electrode])
    }
    return forearm.humAmplitudes * phase
  }

  private func normals(_ random: inout SynthesisRandom) -> ElectrodeFrame {
    var frame = ElectrodeFrame.zero
    for electrode in 0..<Forearm.electrodes { frame[electrode] = random.normal() }
    return frame
  }
}
