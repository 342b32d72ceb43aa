import Foundation

/// One sample of all eight electrodes.
typealias ElectrodeFrame = SIMD8<Double>

/// A motor unit: the fibres that one nerve cell drives, seen by the electrodes around the arm.
struct MotorUnit {
  let muscle: Int
  /// The share of full activation at which it begins to fire.
  let threshold: Double
  /// What each electrode sees of it; grows with the unit's size.
  let gains: ElectrodeFrame
  /// Its action potential at `MotorUnit.phases` positions between two samples, `[phases, taps]`.
  let potential: [Double]
  let taps: Int

  /// Firing times are rounded to an eighth of a sample.
  static let phases = 8

  /// The first derivative of a Gaussian, whose spectrum peaks at `peakHertz`, with one phase larger
  /// than the other, of unit energy.
  static func potential(peakHertz: Double, skew: Double, sampleRate: Double) -> (
    values: [Double], taps: Int
  ) {
    let sigma = 1 / (2 * Double.pi * peakHertz)
    let half = Int((3.5 * sigma * sampleRate).rounded(.up))
    let taps = 2 * half + 2
    var values: [Double] = []
    values.reserveCapacity(phases * taps)
    for phase in 0..<phases {
      for tap in 0..<taps {
        let time = (Double(tap - half) - Double(phase) / Double(phases)) / sampleRate / sigma
        values.append((-time + skew * (time * time - 1)) * exp(-time * time / 2))
      }
    }
    // In units of 1/512 s, so that a signal is as strong at any rate.
    let energy = values.reduce(0) { $0 + $1 * $1 } / Double(phases) * 512 / sampleRate
    return (values.map { $0 / energy.squareRoot() }, taps)
  }
}

/// One person's forearm in one session: eight electrodes in a ring around twelve muscles.
///
/// The muscles lie in a ring too; an electrode sees near ones best and all of them a little, which
/// is what makes surface channels so alike. From person to person the muscles' places, the motor
/// units, the strength and the way to make a gesture differ; from session to session the ring sits
/// a little turned, with other skin under it.
struct Forearm {
  static let electrodes = 8
  static let muscles = 12
  static let unitsPerMuscle = 10

  let units: [MotorUnit]
  /// Activation of each muscle for each gesture, `[gestures][muscles]`, of full activation.
  let activations: [[Double]]
  /// What an electrode makes of all it sees.
  let electrodeGains: ElectrodeFrame
  /// Mains hum at each electrode: amplitude, and phase in radians.
  let humAmplitudes: ElectrodeFrame
  let humPhases: ElectrodeFrame

  init(subject: Int, session: Int, gestures: Int, sampleRate: Double, seed: UInt64) {
    var person = SynthesisRandom(seed: seed, 1, subject)
    var day = SynthesisRandom(seed: seed, 2, subject, session)
    let strength =
      Variation.meanAmplitude * person.factor(Variation.subjectStrength)
      * day.factor(Variation.sessionStrength)
    let turn = Variation.subjectTurn * person.normal() + Variation.sessionTurn * day.normal()
    var units: [MotorUnit] = []
    for muscle in 0..<Self.muscles {
      let angle = Self.angle(of: muscle) + Variation.muscleAngle * person.normal()
      let depth = person.uniform(0.7, 1.3)
      for unit in 0..<Self.unitsPerMuscle {
        units.append(
          Self.makeUnit(
            muscle: muscle, rank: Double(unit) / Double(Self.unitsPerMuscle - 1),
            angle: angle + turn, depth: depth, strength: strength, sampleRate: sampleRate, &person))
      }
    }
    self.units = units
    activations = (0..<gestures).map { gesture in
      var habit = SynthesisRandom(seed: seed, 3, subject, gesture)
      var today = SynthesisRandom(seed: seed, 4, subject, session, gesture)
      return (0..<Self.muscles).map { muscle in
        Self.activation(of: muscle, in: gesture)
          * habit.factor(Variation.subjectHabit) * today.factor(Variation.sessionHabit)
      }
    }
    var gains = ElectrodeFrame.zero
    var amplitudes = ElectrodeFrame.zero
    var phases = ElectrodeFrame.zero
    let humPhase = day.uniform(0, 2 * Double.pi)
    for electrode in 0..<Self.electrodes {
      gains[electrode] = person.factor(0.08) * day.factor(Variation.sessionContact)
      amplitudes[electrode] = Variation.hum * day.factor(0.5)
      phases[electrode] = humPhase + 0.3 * day.normal()
    }
    electrodeGains = gains
    humAmplitudes = amplitudes
    humPhases = phases
  }

  private static func angle(of muscle: Int) -> Double {
    2 * Double.pi * Double(muscle) / Double(muscles)
  }

  /// Units are recruited by size (Henneman): small ones first, of which there are many.
  private static func makeUnit(
    muscle: Int, rank: Double, angle: Double, depth: Double, strength: Double, sampleRate: Double,
    _ random: inout SynthesisRandom
  ) -> MotorUnit {
    let size = strength * exp(Variation.unitSizes * rank) * random.factor(0.2)
    let own = angle + 0.12 * random.normal()
    var gains = ElectrodeFrame.zero
    for electrode in 0..<electrodes {
      let apart = 2 * Double.pi * Double(electrode) / Double(electrodes) - own
      let near = exp(Variation.focus * depth * (cos(apart) - 1))
      gains[electrode] = size * (Variation.farField + (1 - Variation.farField) * near)
    }
    let (potential, taps) = MotorUnit.potential(
      peakHertz: min(
        Variation.peakHertz * random.factor(Variation.peakSpread), 0.4 * sampleRate),
      skew: 0.3 * random.normal(), sampleRate: sampleRate)
    let sign: Double = random.uniform() < 0.5 ? -1 : 1
    return MotorUnit(
      muscle: muscle, threshold: 0.02 * exp(3 * rank), gains: sign * gains, potential: potential,
      taps: taps)
  }

  /// What everybody does in a gesture: a group of neighbouring muscles, and faintly another across
  /// the arm. Neighbouring numbers lie a golden angle apart, so that many gestures fit in.
  private static func activation(of muscle: Int, in gesture: Int) -> Double {
    var kind = SynthesisRandom(seed: 0, 5, gesture)
    let centre = 2 * Double.pi * 0.618_033_988_749_895 * Double(gesture)
    let level = Variation.meanActivation * kind.factor(Variation.gestureLevel)
    let main = exp(Variation.groupFocus * (cos(angle(of: muscle) - centre) - 1))
    let opposite = exp(4 * (cos(angle(of: muscle) - centre - 2.5) - 1))
    return level * (Variation.groupFloor + main + 0.3 * opposite)
  }
}

/// How much differs between what. Chosen so that spectrum, amplitudes, kurtosis, correlation of
/// channels and the difficulty for a linear discriminant are near those of the public recordings.
enum Variation {
  /// Sets the deviation of the signal.
  static let meanAmplitude = 0.0125
  static let subjectStrength = 0.15
  static let sessionStrength = 0.06
  /// Radians.
  static let muscleAngle = 0.10
  static let subjectTurn = 0.10
  static let sessionTurn = 0.08
  static let subjectHabit = 0.41
  static let sessionHabit = 0.27
  static let sessionContact = 0.05
  static let trialHabit = 0.28
  static let trialLevel = 0.20
  /// Of the log of the activation within a recording, and how long it takes to change.
  static let tremor = 0.40
  static let tremorSeconds = 0.6
  /// How much better an electrode sees the muscle below it; the share that it sees of any.
  static let focus = 2.5
  static let farField = 0.28
  static let unitSizes = 3.1
  static let peakHertz = 60.0
  static let peakSpread = 0.6
  static let meanActivation = 0.25
  static let gestureLevel = 0.3
  static let groupFocus = 1.5
  static let groupFloor = 0.32
  static let hum = 0.0025
  static let drift = 0.006
  static let noise = 0.002
}
