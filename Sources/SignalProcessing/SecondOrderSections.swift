import Foundation

/// One recursive filter of second order, (b0 + b1·z⁻¹ + b2·z⁻²) / (1 + a1·z⁻¹ + a2·z⁻²).
public struct SecondOrderSection: Hashable, Sendable {
  public var b0, b1, b2, a1, a2: Double

  public init(b0: Double, b1: Double, b2: Double, a1: Double, a2: Double) {
    (self.b0, self.b1, self.b2, self.a1, self.a2) = (b0, b1, b2, a1, a2)
  }

  /// What the section answers to a constant 1 once it has settled.
  var gainAtZero: Double { (b0 + b1 + b2) / (1 + a1 + a2) }
}

/// A digital filter as second-order sections in series.
///
/// Sections keep full precision where one quotient of high-order polynomials loses it: with a band
/// edge at 0.999 of half the sampling rate the latter's own rounding is 4e-8 of the signal.
public struct SecondOrderSections: Hashable, Sendable {
  public var sections: [SecondOrderSection]

  public init(_ sections: [SecondOrderSection]) {
    self.sections = sections
  }

  /// What two transposed direct-form-II sections' registers hold, section by section, after the
  /// series has settled on a constant input of 1. Starting there, scaled by the first sample,
  /// avoids the jump from silence (the same as scipy's `sosfilt_zi`).
  public var steadyState: [(first: Double, second: Double)] {
    var input = 1.0
    return sections.map { section in
      let output = input * section.gainAtZero
      let second = section.b2 * input - section.a2 * output
      let first = section.b1 * input - section.a1 * output + second
      input = output
      return (first, second)
    }
  }
}

extension SecondOrderSections {
  /// Whether the filter can be computed with: finite coefficients, poles inside the unit circle, and
  /// a finite state to start from.
  public var isSound: Bool {
    sections.allSatisfy {
      [$0.b0, $0.b1, $0.b2, $0.a1, $0.a2].allSatisfy(\.isFinite)
        && abs($0.a2) < 1 && abs($0.a1) < 1 + $0.a2
    } && steadyState.allSatisfy { $0.first.isFinite && $0.second.isFinite }
  }
}

extension SecondOrderSections {
  /// A Butterworth band-pass of order 4, which has 8 poles in 4 sections.
  ///
  /// The analog prototype's poles are moved to the band and mapped to the digital plane by the
  /// bilinear transform with both edges pre-warped (Oppenheim and Schafer, *Discrete-Time Signal
  /// Processing*, §7.3): the filter of `scipy.signal.butter(4, [low, high], "bandpass")`.
  ///
  /// - Parameters:
  ///   - low: lower −3 dB edge as a fraction of half the sampling rate, above 0.
  ///   - high: upper −3 dB edge, above `low` and below 1.
  public static func butterworthBandPass(low: Double, high: Double) -> SecondOrderSections {
    precondition(0 < low && low < high && high < 1, "band edges must satisfy 0 < low < high < 1")
    let order = 4
    let lowWarped = 4 * tan(.pi * low / 2)
    let highWarped = 4 * tan(.pi * high / 2)
    let bandwidth = highWarped - lowWarped
    let centreSquared = Complex(lowWarped * highWarped, 0)

    // Of each conjugate pair one pole is enough. A pole p of the prototype gives the two roots of
    // s² − bandwidth·p·s + centre² = 0: the greater by the formula, the lesser from their product,
    // which keeps its digits where the band is wide.
    var upper: [Complex] = []
    var lower: [Complex] = []
    for index in 0..<order / 2 {
      let angle = .pi * Double(2 * index + 1) / Double(2 * order)
      let half = Complex(-sin(angle), cos(angle)).scaled(by: bandwidth / 2)
      let root = (half * half - centreSquared).squareRoot
      let greater = (half + root).magnitude >= (half - root).magnitude ? half + root : half - root
      upper.append(greater)
      lower.append(centreSquared / greater)
    }

    // Bilinear transform z = (4 + s)/(4 − s). Zeros at s = 0 go to z = 1, those at infinity to −1;
    // each pole takes the zeros at the nearer edge, which keeps every section's gain moderate.
    let four = Complex(4, 0)
    func section(_ pole: Complex, zerosAt zero: Double) -> SecondOrderSection {
      let digital = (four + pole) / (four - pole)
      return SecondOrderSection(
        b0: 1, b1: -2 * zero, b2: 1, a1: -2 * digital.real, a2: digital.squaredMagnitude)
    }
    let made =
      upper.map { section($0, zerosAt: -1) } + lower.map { section($0, zerosAt: 1) }
    // bandwidth⁴·4⁴ / Π|4 − p|² over the four pairs; factor by factor, so that nothing overflows.
    var gain = 1.0
    for pole in upper + lower {
      gain *= 4 * bandwidth / (four - pole).squaredMagnitude
    }
    // The sections nearest to the unit circle come last, so that they amplify the least.
    var series = SecondOrderSections(made.sorted { $0.a2 < $1.a2 })
    series.sections[0].b0 *= gain
    series.sections[0].b1 *= gain
    series.sections[0].b2 *= gain
    return series
  }

  /// A notch of second order with unit gain away from it: the filter of `scipy.signal.iirnotch`.
  ///
  /// - Parameters:
  ///   - frequency: centre as a fraction of half the sampling rate, between 0 and 1.
  ///   - quality: centre divided by the −3 dB bandwidth.
  public static func notch(frequency: Double, quality: Double) -> SecondOrderSections {
    precondition(0 < frequency && frequency < 1, "a notch must satisfy 0 < frequency < 1")
    let centre = .pi * frequency
    let gain = 1 / (1 + tan(centre / quality / 2))
    let middle = -2 * gain * cos(centre)
    return SecondOrderSections([
      SecondOrderSection(b0: gain, b1: middle, b2: gain, a1: middle, a2: 2 * gain - 1)
    ])
  }
}
