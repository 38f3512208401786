// Logarithms for levels and scores: the pure floors have no C library. Good to 1e-9, and fast enough for a few
// hundred a second.

enum Decibels {
    /// The natural logarithm of a positive, finite number; of others −∞.
    static func ln(_ x: Double) -> Double {
        guard x > 0, x.isFinite else { return -.infinity }
        // x = 2ᵉ · m, ln m = 2 artanh((m − 1) / (m + 1)), with m in [√½, √2) so that the series is short.
        var mantissa = x.significand
        var exponent = Double(x.exponent)
        if mantissa > 1.414_213_562_373_095 {
            mantissa /= 2
            exponent += 1
        }
        let y = (mantissa - 1) / (mantissa + 1)
        let square = y * y
        var power = y
        var sum = 0.0
        for term in 0..<10 {
            sum += power / Double(2 * term + 1)
            power *= square
        }
        return 2 * sum + exponent * 0.693_147_180_559_945_3
    }

    /// Of a power, not of an amplitude.
    static func of(power: Double) -> Double { 10 / 2.302_585_092_994_046 * ln(power) }

    /// The amplitude at this many whole decibels below full scale, 0–127.
    static func amplitude(below decibels: Int) -> Double { amplitudes[max(0, min(decibels, 127))] }

    private static let amplitudes: [Double] = {
        var values: [Double] = []
        var value = 1.0
        for _ in 0...127 {
            values.append(value)
            value *= 0.891_250_938_133_745_6
        }
        return values
    }()
}
