/// Decimal numbers from bytes, correctly rounded to `Double` (to nearest, ties to even), without a
/// `String` where that can be avoided.
///
/// In order of speed:
/// 1. mantissa below 2^53 and power of ten within ±22: one exact division or product (Clinger 1990);
/// 2. at most 19 digits, 1 to 27 of them after the point: an exact division of integers,
///    mantissa / 5^k, by a prepared inverse (Möller and Granlund, "Improved division by invariant
///    integers", 2011), whose remainder decides the rounding;
/// 3. anything else: the standard library's conversion, which rounds correctly and knows no locale.
struct DecimalScanner {
  /// 10^0 … 10^22, all exact.
  private let powersOfTen: [Double]
  /// A divisor 5^k for each k of 0…27.
  private let divisors: [Divisor]

  init() {
    var ten = 1.0
    powersOfTen = (0...22).map { _ in
      defer { ten *= 10 }
      return ten
    }
    var five: UInt64 = 1
    divisors = (0...27).map { _ in
      defer { five &*= 5 }
      return Divisor(five)
    }
  }

  /// An integer, shifted so that its top bit is set, and the inverse ⌊(2^128 − 1) / d⌋ − 2^64.
  private struct Divisor {
    let normalized: UInt64
    let inverse: UInt64
    let shift: Int

    init(_ value: UInt64) {
      shift = value.leadingZeroBitCount
      normalized = value << UInt64(shift)
      inverse = normalized.dividingFullWidth((~normalized, .max)).quotient
    }
  }

  /// Reads the number that begins at `next`, and moves `next` behind it.
  ///
  /// The bytes must be readable up to 16 beyond the number's last, and the number must be followed
  /// by a byte that no number contains (the reader keeps zeros behind the text).
  ///
  /// - Returns: false, with `next` where it was, if no decimal number begins there or if it is too
  ///   large for a `Double`.
  @inline(__always)
  func scan(_ next: inout UnsafePointer<UInt8>, into result: inout Double) -> Bool {
    let start = next
    var cursor = start
    // Signs come as they like: no branch here, which would be predicted wrongly half of the time.
    let isNegative: UInt64 = cursor.pointee == UInt8(ascii: "-") ? 1 : 0
    let isPositive: UInt64 = cursor.pointee == UInt8(ascii: "+") ? 1 : 0
    cursor += Int(truncatingIfNeeded: isNegative | isPositive)
    let firstDigit = cursor
    var mantissa: UInt64 = 0
    var digits = 0
    while true {
      let digit = cursor.pointee &- UInt8(ascii: "0")
      guard digit < 10 else { break }
      mantissa = mantissa &* 10 &+ UInt64(digit)
      cursor += 1
      digits += 1
    }
    var power = 0
    if cursor.pointee == UInt8(ascii: ".") {
      cursor += 1
      let fraction = cursor
      scanFraction(&cursor, into: &mantissa)
      power = fraction - cursor
      digits -= power
    }
    guard digits > 0 else { return false }
    if cursor.pointee | 0x20 == UInt8(ascii: "e") {
      guard let exponent = scanExponent(&cursor) else { return false }
      power += exponent
    }
    if digits > 19, significantDigits(from: firstDigit, count: digits) > 19 {
      return convertSlowly(start, end: cursor, next: &next, into: &result)
    }
    let magnitude: Double
    if mantissa < 1 << 53, power <= 0, power >= -22 {
      magnitude = Double(mantissa) / powersOfTen[-power]
    } else if mantissa != 0, power < 0, power >= -27 {
      magnitude = quotient(mantissa, power: -power)
    } else if mantissa == 0 {
      magnitude = 0
    } else {
      return convertSlowly(start, end: cursor, next: &next, into: &result)
    }
    result = Double(bitPattern: magnitude.bitPattern | isNegative << 63)
    next = cursor
    return true
  }

  /// Appends the digits from `cursor` on to `mantissa`, up to eight at a time.
  @inline(__always)
  private func scanFraction(_ cursor: inout UnsafePointer<UInt8>, into mantissa: inout UInt64) {
    while true {
      let word = UInt64(
        littleEndian: UnsafeRawPointer(cursor).loadUnaligned(as: UInt64.self))
      // In each byte, the top bit of `other` is set from the first non-digit on (those above it
      // may be wrong, and are not looked at).
      let values = word ^ 0x3030_3030_3030_3030
      let other = ((values &+ 0x7676_7676_7676_7676) | values) & 0x8080_8080_8080_8080
      let count = other.trailingZeroBitCount >> 3
      if count == 0 { return }
      // Leading zeros in place of what follows the digits.
      let aligned = values << UInt64(64 - 8 * count)
      mantissa = mantissa &* Self.tenToThe(count) &+ eightDigits(aligned)
      cursor += count
      if count < 8 { return }
    }
  }

  /// 10^count for 1…8.
  @inline(__always)
  private static func tenToThe(_ count: Int) -> UInt64 {
    switch count {
    case 8: 100_000_000
    case 7: 10_000_000
    case 6: 1_000_000
    case 5: 100_000
    case 4: 10_000
    case 3: 1_000
    case 2: 100
    default: 10
    }
  }

  /// The number of eight digits of one byte each, the first in the lowest byte.
  @inline(__always)
  private func eightDigits(_ values: UInt64) -> UInt64 {
    let pairs = (values &* 10 &+ (values >> 8)) & 0x00FF_00FF_00FF_00FF
    let fours = (pairs &* 100 &+ (pairs >> 16)) & 0x0000_FFFF_0000_FFFF
    return (fours &* 10_000 &+ (fours >> 32)) & 0xFFFF_FFFF
  }

  /// Reads `e`, a sign, digits; nil without a digit. Clamped far beyond what a `Double` spans.
  private func scanExponent(_ cursor: inout UnsafePointer<UInt8>) -> Int? {
    var at = cursor + 1
    let isNegative = at.pointee == UInt8(ascii: "-")
    if isNegative || at.pointee == UInt8(ascii: "+") { at += 1 }
    var exponent = 0
    let first = at
    while at.pointee &- UInt8(ascii: "0") < 10 {
      exponent = min(exponent * 10 + Int(at.pointee &- UInt8(ascii: "0")), 1_000_000)
      at += 1
    }
    guard at > first else { return nil }
    cursor = at
    return isNegative ? -exponent : exponent
  }

  /// How many of `count` digits from `first` on (a point among them) follow the leading zeros.
  private func significantDigits(from first: UnsafePointer<UInt8>, count: Int) -> Int {
    var remaining = count
    var at = first
    while remaining > 0, at.pointee == UInt8(ascii: "0") || at.pointee == UInt8(ascii: ".") {
      if at.pointee == UInt8(ascii: "0") { remaining -= 1 }
      at += 1
    }
    return remaining
  }

  /// `mantissa` / 10^`power`, correctly rounded; `mantissa` > 0, `power` in 1…27.
  @inline(__always)
  private func quotient(_ mantissa: UInt64, power: Int) -> Double {
    let divisor = divisors[power]
    let shift = mantissa.leadingZeroBitCount
    let shifted = mantissa << UInt64(shift)
    // The dividend is halved where its quotient would have 65 bits; now it has exactly 64.
    let isHalved = shifted >= divisor.normalized
    let high = isHalved ? shifted >> 1 : shifted
    let low = isHalved ? shifted << 63 : 0
    let (quotient, remainder) = Self.divide(high, low, by: divisor)

    let isInexact: UInt64 = remainder == 0 ? 0 : 1
    let kept = quotient >> 11
    let dropped = (quotient & 0x7FF) | isInexact
    let roundsUp = dropped > 0x400 || (dropped == 0x400 && kept & 1 == 1)
    // quotient · 2^exponent is the value; its top bit stands for 2^(63 + exponent).
    let exponent = (isHalved ? -63 : -64) + divisor.shift - shift - power
    let biased = UInt64(bitPattern: Int64(63 + exponent + 1023))
    // The hidden bit is taken off; rounding up to the next power of two carries into the exponent.
    let bits = (biased << 52) &+ (kept &- (1 << 52)) &+ (roundsUp ? 1 : 0)
    return Double(bitPattern: bits)
  }

  /// (`high`·2^64 + `low`) / divisor for `high` below the divisor: quotient and remainder, exact.
  @inline(__always)
  private static func divide(_ high: UInt64, _ low: UInt64, by divisor: Divisor) -> (
    quotient: UInt64, remainder: UInt64
  ) {
    let product = divisor.inverse.multipliedFullWidth(by: high)
    let (lowSum, carry) = product.low.addingReportingOverflow(low)
    var quotient = product.high &+ high &+ (carry ? 1 : 0) &+ 1
    var remainder = low &- quotient &* divisor.normalized
    if remainder > lowSum {
      quotient &-= 1
      remainder &+= divisor.normalized
    }
    if remainder >= divisor.normalized {
      quotient &+= 1
      remainder &-= divisor.normalized
    }
    return (quotient, remainder)
  }

  @inline(never)
  private func convertSlowly(
    _ start: UnsafePointer<UInt8>, end: UnsafePointer<UInt8>, next: inout UnsafePointer<UInt8>,
    into result: inout Double
  ) -> Bool {
    let text = String(
      decoding: UnsafeBufferPointer(start: start, count: end - start), as: UTF8.self)
    guard let value = Double(text), value.isFinite else { return false }
    result = value
    next = end
    return true
  }
}
